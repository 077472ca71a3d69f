"""One line per public posterior, all with three latent dimensions."""

from conformance.deep_parts import ENCODER, LEVELS, PRIOR, TRUNK
from conformance.specimen import Specimen

from kvae import posteriors as qs
from kvae import priors as ps

PARTNERS = {"prior": PRIOR, "decoder": TRUNK, "encoder": ENCODER}

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
    Specimen(qs.TopDownMaps, LEVELS, partners=PARTNERS, exact_kl=False),
    Specimen(
        qs.TopDownMaps,
        {**LEVELS, "residual": False},
        partners=PARTNERS,
        exact_kl=False,
        label="absolute",
    ),
]
