"""Data to try things on: drawn when you ask for it, so nothing is downloaded."""

from kvae.datasets.flowers import FLOWER_FACTORS as FLOWER_FACTORS
from kvae.datasets.flowers import make_flowers as make_flowers
