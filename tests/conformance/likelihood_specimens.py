"""One line per public likelihood. Data shape (4,), or an image (4, 4, 1)."""

from conformance.specimen import Specimen

from kvae import likelihoods as lk

SHAPE = (4,)

SPECIMENS = [
    Specimen(
        lk.Bernoulli,
        {"data_shape": SHAPE},
        lambda rng, n: rng.integers(0, 2, (n, *SHAPE)).astype("float32"),
    ),
    *(
        Specimen(
            lk.Normal,
            {"data_shape": SHAPE, "scale": scale},
            lambda rng, n: rng.normal(size=(n, *SHAPE)).astype("float32"),
            label=str(scale),
        )
        for scale in (0.5, "learned", "per_dimension", "decoder")
    ),
]
