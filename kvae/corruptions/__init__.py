"""Noise on the encoder's input.

To add a corruption, subclass Corruption in a file of its own and list it here.
"""

from kvae.corruptions.additive_normal import AdditiveNormal as AdditiveNormal
from kvae.corruptions.base import Corruption as Corruption
from kvae.corruptions.pixel_dropout import PixelDropout as PixelDropout
from kvae.corruptions.salt_and_pepper import SaltAndPepper as SaltAndPepper
