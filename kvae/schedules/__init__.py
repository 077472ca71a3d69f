"""Schedules: a number as a function of the step.

Any Keras learning-rate schedule will do in their place.
"""

from kvae.schedules.cyclical import Cyclical as Cyclical
from kvae.schedules.linear_warmup import LinearWarmup as LinearWarmup
