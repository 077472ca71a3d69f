"""Posteriors q(z|x). To add one: subclass Posterior, list it here, add a specimen."""

from kvae.posteriors.base import Posterior as Posterior
from kvae.posteriors.diagonal_normal import DiagonalNormal as DiagonalNormal
