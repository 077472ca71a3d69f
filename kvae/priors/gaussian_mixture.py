"""The learned mixture of normals."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import check_number, check_size, is_number
from kvae.core.types import Params, Tensor
from kvae.maths import choose_component, normals_at_points, softplus
from kvae.priors.base import Prior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class GaussianMixture(Prior):
    """A mixture of diagonal normals, learned with the rest of the model.

        p(z) = sum_c weight[c] prod_d Normal(z[d]; loc[c, d], scale[c, d])
        weight = softmax(logits),  scale = min_scale + softplus(raw)

    Args:
        latent_dim: D, the number of latent dimensions.
        num_components: C.
        min_scale: the smallest scale; keeps a component from collapsing onto one example.
        spread: standard deviation of the components' initial centers.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `num_components`, `min_scale` or `latent_dim` is not positive.

    Source: Tomczak, Welling 2018, arXiv:1705.07120, which compares it with VampPrior.
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        num_components: int = 10,
        *,
        min_scale: float = 1e-2,
        spread: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        check_size("num_components", num_components)
        if not (is_number(min_scale) and min_scale > 0):
            raise ValueError(
                f"GaussianMixture expects min_scale > 0; received {min_scale!r}."
            )
        check_number("spread", spread, 0)
        self.num_components = num_components
        self.min_scale = min_scale
        self.spread = spread
        shape = (num_components, self.latent_dim)
        self._logits = self.add_weight(
            name="logits", shape=shape[:1], initializer="zeros", autocast=False
        )
        self._loc = self.add_weight(
            name="loc",
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=spread),
            autocast=False,
        )
        self._raw_scale = self.add_weight(
            name="raw_scale",
            shape=shape,
            initializer=keras.initializers.Constant(np.log(np.e - 1.0)),
            autocast=False,
        )
        self.built = True

    @classmethod
    def from_parameters(
        cls, weights: Any, loc: Any, scale: Any, min_scale: float = 1e-2, **kwargs: Any
    ) -> GaussianMixture:
        """Makes the mixture with given parameters, which training may still change.

        Args:
            weights: (C,), positive, adding up to 1.
            loc: (C, D).
            scale: (C, D), positive; smaller values are raised to just above `min_scale`.
            min_scale: the smallest scale.
            **kwargs: passed to `keras.layers.Layer`.

        Returns:
            prior: the mixture.

        Raises:
            ValueError: if the shapes do not fit, or weights or scales are not positive.
        """
        weights, loc, scale = (np.asarray(v, "float64") for v in (weights, loc, scale))
        if loc.ndim != 2 or scale.shape != loc.shape or weights.shape != loc.shape[:1]:
            raise ValueError(
                "from_parameters expects weights (C,), loc (C, D) and scale (C, D); "
                f"received {weights.shape}, {loc.shape} and {scale.shape}."
            )
        if not ((weights > 0).all() and (scale > 0).all()):
            raise ValueError(
                "from_parameters expects positive weights and scales; received "
                f"min(weights)={weights.min():.3g}, min(scale)={scale.min():.3g}."
            )
        if abs(weights.sum() - 1.0) > 1e-4:
            raise ValueError(
                "from_parameters expects weights that add up to 1; their sum is "
                f"{weights.sum():.6g}. Divide by it."
            )
        count, dim = loc.shape
        prior = cls(dim, num_components=count, min_scale=min_scale, **kwargs)
        above = np.maximum(scale - min_scale, 1e-3 * min_scale)
        # The inverse of softplus, in the form that does not overflow.
        raw_scale = above + np.log(-np.expm1(-above))
        for variable, value in (
            (prior._logits, np.log(weights)),
            (prior._loc, loc),
            (prior._raw_scale, raw_scale),
        ):
            variable.assign(value)
        return prior

    @property
    def noise_dim(self) -> int:
        """One standard normal per dimension, and one that picks the component."""
        return self.latent_dim + 1

    def call(self, condition: Tensor | None = None) -> Params:
        """Returns logits (C,), loc and scale (C, D); the condition does not matter."""
        del condition
        logits, loc, raw_scale = (
            keras.ops.cast(variable, self.maths_dtype)
            for variable in (self._logits, self._loc, self._raw_scale)
        )
        scale = self.min_scale + softplus(raw_scale)
        return {"logits": logits, "loc": loc, "scale": scale}

    def distribution(self, params: Params) -> Any:
        """Makes a `tfd.MixtureSameFamily` with batch () and event (D,)."""
        return mixture_of_normals(params)

    def log_prob(self, params: Params, z: Tensor) -> Tensor:
        """Computes log p(z) in nats: z of (K, B, D) gives (K, B)."""
        terms = normals_at_points(z, params["loc"], params["scale"])
        return tf.reduce_logsumexp(terms + tf.nn.log_softmax(params["logits"]), axis=-1)

    def sample(
        self, params: Params, noise: Tensor, temperature: Tensor | float = 1.0
    ) -> Tensor:
        """Picks components by the last entry of the noise, and draws from them: (..., D).

        The temperature shrinks the components, not the choice among them; at 0 every draw
        is the center of a component.
        """
        index = choose_component(params["logits"], noise[..., -1])
        loc, scale = (tf.gather(params[name], index) for name in ("loc", "scale"))
        return loc + scale * (temperature * noise[..., :-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_components": self.num_components,
            "min_scale": self.min_scale,
            "spread": self.spread,
        }


def mixture_of_normals(params: Params) -> Any:
    """Makes the mixture of diagonal normals that logits, loc and scale describe."""
    return tfd.MixtureSameFamily(
        tfd.Categorical(logits=params["logits"]),
        tfd.Independent(tfd.Normal(params["loc"], params["scale"]), 1),
    )
