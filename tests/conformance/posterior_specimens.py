"""One line per public posterior, all with three latent dimensions."""

from conformance.specimen import Specimen

from kvae import posteriors as qs
from kvae import priors as ps

SPECIMENS = [
    Specimen(qs.DiagonalNormal, {"latent_dim": 3}),
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
    ),
]
