"""Noise that depends only on a seed and a position, and is the same on every target."""

from kvae.noise.noise import Noise as Noise
from kvae.noise.threefry import counter_normal as counter_normal
from kvae.noise.threefry import threefry2x32 as threefry2x32
