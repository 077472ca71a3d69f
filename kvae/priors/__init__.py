"""Priors p(z). To add one: subclass Prior, list it here, add a specimen."""

from kvae.priors.base import Prior as Prior
from kvae.priors.conditional_gaussian_mixture import (
    ConditionalGaussianMixture as ConditionalGaussianMixture,
)
from kvae.priors.conditional_normal import ConditionalNormal as ConditionalNormal
from kvae.priors.fit_mixture import fit_mixture as fit_mixture
from kvae.priors.flow_matching import FlowMatching as FlowMatching
from kvae.priors.gaussian_mixture import GaussianMixture as GaussianMixture
from kvae.priors.hierarchical import Hierarchical as Hierarchical
from kvae.priors.hierarchical_maps import HierarchicalMaps as HierarchicalMaps
from kvae.priors.masked_autoregressive_flow import (
    MaskedAutoregressiveFlow as MaskedAutoregressiveFlow,
)
from kvae.priors.real_nvp import RealNVP as RealNVP
from kvae.priors.standard_normal import StandardNormal as StandardNormal
from kvae.priors.uniform_sphere import UniformSphere as UniformSphere
from kvae.priors.vamp_prior import VampPrior as VampPrior
