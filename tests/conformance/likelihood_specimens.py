"""One line per public likelihood. Data shape (4,), or an image (4, 4, 3).

Every data function puts the edges of the support into the first rows.
"""

from collections.abc import Callable

import numpy as np
from conformance.specimen import Specimen

from kvae import likelihoods as lk

SHAPE = (4,)
IMAGE = (4, 4, 3)

COLUMNS = [
    {"name": "height", "kind": "real"},
    {"name": "sex", "kind": "binary"},
    {"name": "weight", "kind": "real"},
    {"name": "visits", "kind": "count"},
    {"name": "ward", "kind": "categorical", "levels": 3},
    {"name": "income", "kind": "heavy_tailed", "df": 4.0},
    {"name": "share", "kind": "fraction"},
    {"name": "age", "kind": "real", "scale": "optimal"},
]

Data = Callable[[np.random.Generator, int], np.ndarray]


def normals(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(size=(n, *SHAPE)).astype("float32")


def unit(rng: np.random.Generator, n: int) -> np.ndarray:
    x = rng.uniform(size=(n, *SHAPE))
    x[0], x[1 % n] = 0.0, 1.0
    return x.astype("float32")


def levels(shape: tuple[int, ...], number: int = 256, high: float = 1.0) -> Data:
    def data(rng: np.random.Generator, n: int) -> np.ndarray:
        x = rng.integers(0, number, (n, *shape))
        x[0], x[1 % n] = 0, number - 1
        return (x / (number - 1) * high).astype("float32")

    return data


def whole(number: int) -> Data:
    def data(rng: np.random.Generator, n: int) -> np.ndarray:
        x = rng.integers(0, number, (n, *SHAPE))
        x[0], x[1 % n] = 0, number - 1
        return x

    return data


def counts(rng: np.random.Generator, n: int) -> np.ndarray:
    x = rng.negative_binomial(2.0, 0.2, (n, *SHAPE))
    x[0], x[1 % n] = 0, 3000
    return x


def table(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.stack(
        [
            rng.normal(size=n),
            rng.integers(0, 2, n),
            rng.normal(size=n),
            rng.negative_binomial(2.0, 0.2, n),
            rng.integers(0, 3, n),
            rng.standard_t(4.0, n),
            rng.uniform(size=n),
            rng.normal(size=n),
        ],
        axis=-1,
    ).astype("float32")


SPECIMENS = [
    Specimen(lk.Bernoulli, {"data_shape": SHAPE}, whole(2)),
    Specimen(
        lk.Bernoulli, {"data_shape": SHAPE, "gray": False}, whole(2), label="strict"
    ),
    Specimen(lk.ContinuousBernoulli, {"data_shape": SHAPE}, unit),
    *(
        Specimen(
            lk.Normal, {"data_shape": SHAPE, "scale": scale}, normals, label=str(scale)
        )
        for scale in (0.5, "learned", "per_dimension", "decoder", "optimal")
    ),
    *(
        Specimen(
            lk.Laplace, {"data_shape": SHAPE, "scale": scale}, normals, label=str(scale)
        )
        for scale in (0.5, "learned", "per_dimension", "decoder")
    ),
    Specimen(lk.StudentT, {"data_shape": SHAPE}, normals),
    Specimen(
        lk.StudentT,
        {"data_shape": SHAPE, "df": 3.0, "scale": "decoder"},
        normals,
        label="df3",
    ),
    Specimen(lk.DiscretizedLogistic, {"data_shape": SHAPE}, levels(SHAPE)),
    Specimen(
        lk.DiscretizedLogistic,
        {"data_shape": SHAPE, "levels": 5, "low": 0, "high": 8},
        levels(SHAPE, 5, 8.0),
        label="5-levels",
    ),
    Specimen(
        lk.DiscretizedLogisticMixture,
        {"data_shape": SHAPE, "components": 3},
        levels(SHAPE),
    ),
    Specimen(
        lk.DiscretizedLogisticMixture,
        {"data_shape": IMAGE, "components": 2, "levels": 8},
        levels(IMAGE, 8),
        label="channels",
    ),
    Specimen(lk.Binomial, {"data_shape": SHAPE, "total_count": 255}, whole(256)),
    Specimen(lk.Categorical, {"data_shape": SHAPE, "levels": 6}, whole(6)),
    Specimen(lk.Poisson, {"data_shape": SHAPE}, counts),
    Specimen(lk.NegativeBinomial, {"data_shape": SHAPE}, counts),
    Specimen(
        lk.NegativeBinomial,
        {"data_shape": SHAPE, "total_count": "decoder"},
        counts,
        label="decoder",
    ),
    Specimen(lk.ZeroInflatedNegativeBinomial, {"data_shape": SHAPE}, counts),
    Specimen(lk.Columns, {"columns": COLUMNS}, table),
    Specimen(
        lk.PixelCNN,
        {
            "likelihood": lk.Bernoulli((2, 3), gray=False),
            "width": 4,
            "layers": 1,
            "kernel_size": 3,
        },
        levels((2, 3), 2),
        chained=True,
    ),
    Specimen(
        lk.PixelCNN,
        {
            "likelihood": lk.DiscretizedLogisticMixture(
                (2, 2, 3), components=2, levels=8
            ),
            "width": 4,
            "layers": 0,
            "linear": True,
        },
        levels((2, 2, 3), 8),
        chained=True,
        label="colors",
    ),
]
