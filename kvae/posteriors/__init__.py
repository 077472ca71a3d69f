"""Posteriors q(z|x). To add one: subclass Posterior, list it here, add a specimen."""

from kvae.posteriors.base import Posterior as Posterior
from kvae.posteriors.diagonal_normal import DiagonalNormal as DiagonalNormal
from kvae.posteriors.full_normal import FullNormal as FullNormal
from kvae.posteriors.inverse_autoregressive_flow import (
    InverseAutoregressiveFlow as InverseAutoregressiveFlow,
)
from kvae.posteriors.power_spherical import PowerSpherical as PowerSpherical
from kvae.posteriors.sylvester_flow import SylvesterFlow as SylvesterFlow
from kvae.posteriors.top_down import TopDown as TopDown
from kvae.posteriors.top_down_maps import TopDownMaps as TopDownMaps
