"""One line per public posterior, all with three latent dimensions."""

from conformance.specimen import Specimen

from kvae import posteriors as qs

SPECIMENS = [
    Specimen(qs.DiagonalNormal, {"latent_dim": 3}),
]
