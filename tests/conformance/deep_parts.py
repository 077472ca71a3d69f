"""A tiny trunk and what goes with it: one position, then two side by side."""

from kvae import networks
from kvae import posteriors as qs
from kvae import priors as ps

LEVELS = {"levels": ((1, 1, 1), (1, 2, 1)), "latent_channels": 1, "width": 2}
TRUNK = (networks.TopDownTrunk, {**LEVELS, "data_shape": (2, 2), "features": 2})
ENCODER = (networks.mlp, {"input_shape": (4,), "units": (6,), "activation": "tanh"})
PRIOR = (ps.HierarchicalMaps, {"latent_dim": 3})
POSTERIOR = (qs.TopDownMaps, LEVELS)
