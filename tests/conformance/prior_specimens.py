"""One line per public prior, all with three latent dimensions."""

from conformance.specimen import Specimen

from kvae import priors as ps

SPECIMENS = [
    Specimen(ps.StandardNormal, {"latent_dim": 3}),
]
