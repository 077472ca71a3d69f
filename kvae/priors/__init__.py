"""Priors p(z). To add one: subclass Prior, list it here, add a specimen."""

from kvae.priors.base import Prior as Prior
from kvae.priors.standard_normal import StandardNormal as StandardNormal
