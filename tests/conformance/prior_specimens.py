"""One line per public prior, all with three latent dimensions."""

from conformance.deep_parts import PRIOR, TRUNK
from conformance.specimen import Specimen

from kvae import posteriors as qs
from kvae import priors as ps

SPECIMENS = [
    Specimen(ps.StandardNormal, {"latent_dim": 3}, independent=True),
    Specimen(
        ps.ConditionalNormal,
        {"latent_dim": 3},
        independent=True,
        condition_shape=(2,),
    ),
    Specimen(
        ps.ConditionalGaussianMixture,
        {"latent_dim": 3, "num_components": 4},
        condition_shape=(2,),
        exact_kl=False,
    ),
    Specimen(
        ps.GaussianMixture, {"latent_dim": 3, "num_components": 4}, exact_kl=False
    ),
    Specimen(
        ps.VampPrior,
        {"latent_dim": 3, "data_shape": (4,), "num_components": 5},
        exact_kl=False,
    ),
    Specimen(
        ps.RealNVP, {"latent_dim": 3, "num_steps": 2, "units": (8,)}, exact_kl=False
    ),
    Specimen(
        ps.MaskedAutoregressiveFlow,
        {"latent_dim": 3, "num_steps": 2, "units": (8,)},
        exact_kl=False,
    ),
    Specimen(
        ps.UniformSphere,
        {"latent_dim": 3},
        partners={"posterior": (qs.PowerSpherical, {"latent_dim": 3})},
        space="the unit sphere",
    ),
    Specimen(
        ps.FlowMatching,
        {
            "latent_dim": 3,
            "num_steps": 2,
            "width": 8,
            "num_blocks": 1,
            "density_steps": 2,
        },
        exact_kl=False,
        accurate={"num_steps": 24, "density_steps": 24},
    ),
    Specimen(PRIOR[0], PRIOR[1], partners={"decoder": TRUNK}, exact_kl=False),
    Specimen(ps.Hierarchical, {"latent_dims": (2, 1), "units": (8,)}, exact_kl=False),
]
