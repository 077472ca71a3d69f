"""The contract of an anomaly score."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count, check_seed
from kvae.core.inputs import Inputs
from kvae.core.types import Draw, Tensor
from kvae.noise import Noise


class Score(abc.ABC):
    """How unusual each example is for a trained model; higher is more unusual.

    Subclassing guide: implement `compute` in tensors. If the score depends on normal
    data, override `fit` and keep what it finds in `self.fitted`, arrays by name, which
    `compute` receives as tensors and a detector saves. Make `get_config` return the
    constructor's arguments.

    All examples share the same base noise, so that the score of an example depends on
    the example and the seed alone, and not on where it stands in an array.

    Attributes:
        name: under which `Detector(score=...)` finds it.
        unit: of its numbers.
        fitted: what `fit` found; empty before it, or if there is nothing to fit.
    """

    name: str
    unit: str
    needs_fit: bool = False
    """Whether `fit` must have seen normal data."""

    in_tensors: bool = True
    """Whether `compute` is the whole score, so that it can be exported and combined."""

    def __init__(self) -> None:
        self.fitted: dict[str, np.ndarray] = {}

    def fit(self, vae: Any, x: Any, seed: int = 0) -> None:
        """Sees normal data once; here, there is nothing to fit.

        Args:
            vae: a trained `kvae.VAE`.
            x: (N, *data_shape), or a dict with "x" and optionally "condition", "mask".
            seed: of the latents.
        """
        del vae, x, seed

    @property
    def label(self) -> str:
        """What people read: the name, or the names of several scores."""
        return self.name

    @abc.abstractmethod
    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes the score of one batch, (B,).

        Args:
            model: a `kvae.VAE`.
            inputs: one batch.
            key: (2,) int32, seed of all noise.
            fitted: `self.fitted` as tensors.
        """

    def __call__(
        self, vae: Any, x: Any, seed: int = 0, batch_size: int = 128
    ) -> np.ndarray:
        """Scores arrays.

        Args:
            vae: a trained `kvae.VAE`.
            x: (N, *data_shape), or a dict with "x" and optionally "condition", "mask".
            seed: of the latents.
            batch_size: examples per pass; does not change the result.

        Returns:
            scores: (N,) float64, higher = more unusual.

        Raises:
            ValueError: if x does not fit the model, or `fit` has not seen data.
        """
        if self.needs_fit and not self.fitted:
            raise ValueError(
                f"the score {self.name!r} compares with normal data: call "
                "fit(vae, x_normal) first. Detector.calibrate does so."
            )
        key = tf.constant([check_seed(seed), 0], tf.int32)
        fitted = {
            name: tf.constant(value, vae.maths_dtype)
            for name, value in self.fitted.items()
        }
        return np.asarray(
            vae.map_arrays(self._batch, x, batch_size, key, fitted), "float64"
        )

    def _batch(
        self,
        model: Any,
        batch: dict[str, Tensor],
        first: Tensor,
        key: Tensor,
        fitted: dict[str, Tensor],
    ) -> Tensor:
        del first
        return self.compute(model, Inputs(**batch), key, fitted)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, but for models."""
        return {}

    def models(self) -> dict[str, Any]:
        """Returns the models among the constructor's arguments, by name; here, none."""
        return {}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class SampledScore(Score):
    """A score of K latents from q(z|x): implement `of_draw`.

    Args:
        num_samples: K, latents per example.
    """

    unit = "nats"

    def __init__(self, num_samples: int = 16) -> None:
        super().__init__()
        self.num_samples = check_count("num_samples", num_samples)

    @abc.abstractmethod
    def of_draw(self, model: Any, draw: Draw) -> Tensor:
        """Computes the score of one batch, (B,) nats, from its latents (K, B, D)."""

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Draws latents and computes the score, (B,) nats."""
        del fitted
        return self.of_draw(model, draw_latents(model, inputs, key, self.num_samples))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"num_samples": self.num_samples}


def shared_noise(
    model: Any, key: Tensor, num_samples: int, batch: Tensor, first: Tensor | int = 0
) -> Tensor:
    """Draws the base noise of K latents, the same for every example: (K, B, D)."""
    source = Noise(key, tf.constant(0), first)
    dim = model.posterior.noise_dim
    one = source.normal(num_samples, 1, dim, model.maths_dtype)
    return tf.tile(one, tf.stack([1, batch, 1]))


def draw_latents(model: Any, inputs: Inputs, key: Tensor, num_samples: int) -> Draw:
    """Draws latents from q(z|x) with every density at them."""
    params = model.posterior_params(inputs)
    noise = shared_noise(model, key, num_samples, tf.shape(inputs.x)[0])
    z, log_posterior = model.posterior.sample_and_log_prob(params, noise)
    return model.weigh(inputs, params, z, log_posterior)


def log_mean_exp(values: Tensor) -> Tensor:
    """Computes log mean exp over the first axis; -inf where all are -inf."""
    count = tf.cast(tf.shape(values)[0], values.dtype)
    return tf.reduce_logsumexp(values, axis=0) - tf.math.log(count)
