"""One line per public posterior, all with three latent dimensions."""

from conformance.specimen import Specimen

from kvae import networks
from kvae import posteriors as qs
from kvae import priors as ps

# One position, then two side by side.
MAPS = {"levels": ((1, 1, 1), (1, 2, 1)), "latent_channels": 1, "width": 2}
TRUNK = {**MAPS, "data_shape": (2, 2), "features": 2, "activation": "tanh"}

SPECIMENS = [
    Specimen(qs.DiagonalNormal, {"latent_dim": 3}, independent=True),
    Specimen(qs.FullNormal, {"latent_dim": 3}),
    Specimen(
        qs.InverseAutoregressiveFlow,
        {"latent_dim": 3, "units": (8, 8), "context_dim": 4},
        exact_kl=False,
    ),
    Specimen(
        qs.SylvesterFlow,
        {"latent_dim": 3, "num_steps": 2, "num_reflections": 2},
        exact_kl=False,
    ),
    Specimen(
        qs.PowerSpherical,
        {"latent_dim": 3},
        partners={"prior": (ps.UniformSphere, {"latent_dim": 3})},
        space="the unit sphere",
    ),
    Specimen(
        qs.TopDown,
        {"latent_dims": (2, 1), "units": (8,)},
        partners={"prior": (ps.Hierarchical, {"latent_dims": (2, 1), "units": (8,)})},
        exact_kl=False,
    ),
    Specimen(
        qs.TopDownMaps,
        MAPS,
        partners={
            "prior": (ps.HierarchicalMaps, {"latent_dim": 3}),
            "decoder": (networks.TopDownTrunk, TRUNK),
            "encoder": (
                networks.mlp,
                {"input_shape": (4,), "units": (6,), "activation": "tanh"},
            ),
        },
        exact_kl=False,
    ),
    Specimen(
        qs.TopDownMaps,
        {**MAPS, "residual": False},
        partners={
            "prior": (ps.HierarchicalMaps, {"latent_dim": 3}),
            "decoder": (networks.TopDownTrunk, TRUNK),
            "encoder": (
                networks.mlp,
                {"input_shape": (4,), "units": (6,), "activation": "tanh"},
            ),
        },
        exact_kl=False,
        label="absolute",
    ),
]
