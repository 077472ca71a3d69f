"""The mixture of normals that depends on a condition."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_size
from kvae.core.types import Params, Tensor
from kvae.maths import choose_component, softplus
from kvae.networks import OneHot
from kvae.priors.conditional_prior import ConditionalPrior
from kvae.priors.gaussian_mixture import GaussianMixture, mixture_of_normals


@keras.saving.register_keras_serializable(package="kvae")
class ConditionalGaussianMixture(ConditionalPrior):
    """A mixture of diagonal normals, all of it learned functions of the condition.

        p(z|c) = sum_k weight[k](c) prod_d Normal(z[d]; loc[k, d](c), scale[k, d](c))
        weight = softmax(logits),  scale = min_scale + softplus(raw)

    With labels, each class has its own mixture. Its centers start at random draws, the
    same for all conditions.

    Args:
        latent_dim: D, the number of latent dimensions.
        num_components: M, the number of components for each condition.
        network: Keras network from the condition, (B, ...), to features; None maps the
            flattened condition linearly. Integer labels need `networks.OneHot(classes)`.
        min_scale: the smallest scale; keeps a component from collapsing onto one example.
        spread: standard deviation of the components' initial centers.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `num_components`, `min_scale` or `latent_dim` is not positive.

    Source: Bishop 1994, "Mixture density networks", equations 22 to 25; as p(z) in
        Tomczak, Welling 2018, arXiv:1705.07120.
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        num_components: int = 10,
        network: Any = None,
        *,
        min_scale: float = 1e-2,
        spread: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, network, min_scale, **kwargs)
        check_size("num_components", num_components)
        self.num_components = num_components
        self.spread = spread
        places = num_components * self.latent_dim
        self._logits = self._head("logits", num_components, 0.0)
        centers = keras.initializers.RandomNormal(stddev=spread)
        self._loc = self._head("loc", places, centers)
        self._raw_scale = self._head("raw_scale", places, self.UNIT_RAW_SCALE)

    @classmethod
    def from_parameters(
        cls,
        labels: Any,
        weights: Any,
        loc: Any,
        scale: Any,
        min_scale: float = 1e-2,
        **kwargs: Any,
    ) -> ConditionalGaussianMixture:
        """Makes the mixtures of some labels, which training may still change.

        Args:
            labels: (L,) different integers.
            weights: (L, M), positive, adding up to 1 for each label.
            loc: (L, M, D).
            scale: (L, M, D), positive; smaller values are raised to just above `min_scale`.
            min_scale: the smallest scale.
            **kwargs: passed to `keras.layers.Layer`.

        Returns:
            prior: for integer conditions.

        Raises:
            ValueError: if the shapes do not fit, or weights or scales are not positive.
        """
        labels = tuple(int(label) for label in labels)
        if not labels or any(len(v) != len(labels) for v in (weights, loc, scale)):
            raise ValueError(
                "from_parameters expects a mixture for each label; received "
                f"{len(labels)} labels, {len(weights)} mixtures' weights, {len(loc)} "
                f"mixtures' loc and {len(scale)} mixtures' scale."
            )
        mixtures = [  # each checks its own numbers
            GaussianMixture.from_parameters(*parameters, min_scale=min_scale)
            for parameters in zip(weights, loc, scale, strict=True)
        ]
        tables = [
            np.stack([np.reshape(mixture.get_weights()[i], -1) for mixture in mixtures])
            for i in range(3)
        ]
        count, dim = np.shape(loc)[1:]
        network = OneHot(labels)
        prior = cls(dim, count, network, min_scale=min_scale, **kwargs)
        prior.build((None,))
        for head, table in zip(prior._heads, tables, strict=True):
            head.set_weights([table, np.zeros(table.shape[1])])
        return prior

    @property
    def noise_dim(self) -> int:
        """One standard normal per dimension, and one that picks the component."""
        return self.latent_dim + 1

    def call(self, condition: Tensor | None = None) -> Params:
        """Maps the condition (B, ...) to logits (B, M), loc and scale (B, M, D)."""
        logits, loc, raw_scale = self._outputs(condition)
        shape = (-1, self.num_components, self.latent_dim)
        loc, raw_scale = (keras.ops.reshape(v, shape) for v in (loc, raw_scale))
        return {
            "logits": logits,
            "loc": loc,
            "scale": self.min_scale + softplus(raw_scale),
        }

    def distribution(self, params: Params) -> Any:
        """Makes a `tfd.MixtureSameFamily` with batch (B,) and event (D,)."""
        return mixture_of_normals(params)

    def sample(
        self, params: Params, noise: Tensor, temperature: Tensor | float = 1.0
    ) -> Tensor:
        """Picks components by the last entry of the noise, and draws from them: (..., D).

        The temperature shrinks the components, not the choice among them; at 0 every draw
        is the center of a component.
        """
        index = choose_component(params["logits"], noise[..., -1])
        picked = tf.one_hot(index, self.num_components, dtype=noise.dtype)
        loc, scale = (
            tf.einsum("...bm,bmd->...bd", picked, params[name])
            for name in ("loc", "scale")
        )
        return loc + scale * (temperature * noise[..., :-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_components": self.num_components,
            "spread": self.spread,
        }
