"""Schedules: numbers that are functions of the step.

Any Keras learning-rate schedule works too.
"""

from kvae.schedules.cyclical import Cyclical as Cyclical
from kvae.schedules.linear_warmup import LinearWarmup as LinearWarmup
