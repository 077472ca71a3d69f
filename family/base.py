"""What every model of the family can be asked, and how it answers."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any

import numpy as np

from kvae.core.checks import check_seed
from kvae.evaluation.result import Estimate
from kvae.family.graph import Graph


@dataclasses.dataclass(frozen=True)
class LogLikelihood:
    """What a model says about log p(x), and how far to believe it.

    Attributes:
        per_example: (N,) nats.
        method: "exact", or how the number was estimated or bounded.
        method_error: standard error of the mean from the method itself, in nats; 0 if
            the number is exact.
        density: whether it is a density of real numbers, which can't be compared with
            probabilities of pixels that are 0 or 1.
    """

    per_example: np.ndarray
    method: str
    method_error: float = 0.0
    density: bool = False

    @property
    def value(self) -> float:
        """Mean over examples, nats."""
        return self.estimate.value

    @property
    def error(self) -> float:
        """Standard error of the mean: choice of examples and method together, nats."""
        return math.hypot(self.estimate.standard_error, self.method_error)

    @property
    def estimate(self) -> Estimate:
        """Mean over examples, with the error from the choice of examples alone."""
        return Estimate.mean_of(self.per_example)


class Member(abc.ABC):
    """A model of the family.

    Subclassing guide: set `title`, `models`, `cost`, and `source`; write `fit`,
    `weights`, `training_graph`, and `use_graph`, and those of the other methods that
    make sense. What does not make sense returns None, and `missing` says why, by the
    name of the method.

    Pictures are (N, *data_shape) with pixels from 0 to 1; codes are (N, D).

    Args:
        num_steps: gradient steps of training; 0 for a model that is fitted at once.
        seed: of weights, batches, and noise.
    """

    title = ""
    models = ""
    cost = ""
    source = ""
    missing: dict[str, str] = {}
    labels = "none"  # that fit needs: "none", "all", or "few", where -1 means unlabeled

    def __init__(self, num_steps: int, seed: int = 0) -> None:
        self.num_steps = num_steps
        self.seed = check_seed(seed)
        self.data_shape: tuple[int, ...] = ()

    @abc.abstractmethod
    def fit(self, x: Any, y: Any = None) -> Member:
        """Trains the model.

        Args:
            x: (N, *data_shape) pictures.
            y: (N,) integer labels, for models that use them.

        Returns:
            self.
        """

    def sample(self, num: int, seed: int = 0) -> np.ndarray | None:
        """Draws pictures, (num, *data_shape); None if the model doesn't describe any.

        A model with a distribution of pixels shows its mean, as `kvae.VAE.sample` does.
        """
        del num, seed
        return None

    def encode(self, x: Any) -> np.ndarray | None:
        """Maps pictures to codes, (N, D); None if there is no code."""
        del x
        return None

    def reconstruct(self, x: Any) -> np.ndarray | None:
        """Maps pictures to codes and back; None if there is no way back."""
        del x
        return None

    def log_likelihood(self, x: Any, y: Any = None) -> LogLikelihood | None:
        """Returns log p(x) of pictures; None if the model has no tractable density."""
        del x, y
        return None

    @property
    @abc.abstractmethod
    def weights(self) -> list[Any]:
        """The trained arrays."""

    @property
    def num_weights(self) -> int:
        """How many numbers were trained."""
        return sum(int(np.prod(np.shape(weight))) for weight in self.weights)

    @abc.abstractmethod
    def training_graph(self) -> Graph:
        """What is computed in a step of training."""

    @abc.abstractmethod
    def use_graph(self) -> Graph:
        """What is computed when the model is used."""

    def _start(self, x: Any) -> np.ndarray:
        """Notes the shape of the training pictures, and returns them as vectors."""
        x = read_pictures(x)
        self.data_shape = x.shape[1:]
        return x.reshape(len(x), -1)

    def _flat(self, x: Any) -> np.ndarray:
        """Returns pictures as vectors (N, D) if they fit the trained model."""
        self._check_trained()
        x = read_pictures(x)
        if x.shape[1:] != self.data_shape:
            raise ValueError(
                f"{type(self).__name__} was trained on pictures of shape "
                f"{self.data_shape}; received {x.shape[1:]}."
            )
        return x.reshape(len(x), -1)

    def _check_trained(self) -> None:
        if not self.data_shape:
            raise ValueError(f"{type(self).__name__} is not trained; call fit first.")

    def _pictures(self, flat: Any) -> np.ndarray:
        """Returns vectors (N, D) as pictures from 0 to 1."""
        flat = np.clip(np.asarray(flat, "float32"), 0.0, 1.0)
        return flat.reshape(len(flat), *self.data_shape)


def read_pictures(x: Any) -> np.ndarray:
    """Returns pictures as float32, or raises ValueError if they are not pictures."""
    x = np.asarray(x, "float32")
    if x.ndim < 2 or not len(x):
        raise ValueError(
            f"expected pictures of shape (N, H, W) or (N, H, W, 1); received {x.shape}."
        )
    if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise ValueError(
            "expected pixels from 0 to 1, without NaN; divide integers by their maximum."
        )
    return x


def read_binary(x: Any) -> np.ndarray:
    """Returns pictures of pixels 0 and 1, or raises ValueError."""
    x = read_pictures(x)
    if not np.isin(x, (0.0, 1.0)).all():
        raise ValueError(
            "this model gives a probability to pixels that are 0 or 1; round yours: "
            "(x > 0.5)."
        )
    return x
