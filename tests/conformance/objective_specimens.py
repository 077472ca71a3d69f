"""One line per public objective."""

from conformance.specimen import Specimen

from kvae import objectives as obj

SPECIMENS = [
    Specimen(obj.ELBO, {}),
    Specimen(
        obj.ELBO, {"beta": 0.5, "num_samples": 3, "kl": "sampled"}, label="sampled"
    ),
]
