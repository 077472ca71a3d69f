"""A distribution of vectors, seen as one of arrays with a shape."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Tensor

tfd = tfp.distributions


def shaped_distribution(flat: Any, shape: tuple[int, ...]) -> Any:
    """Gives the event of a distribution of vectors a shape.

        p(reshape(v, shape)) = p(v)

    Args:
        flat: `tfd.Distribution` with event (D,).
        shape: of the new event, of size D.

    Returns:
        distribution: with event `shape` and the batch of `flat`; an `Independent(Normal)`
            of an `Independent(Normal)`.
    """
    inner = getattr(flat, "distribution", None)
    if isinstance(flat, tfd.Independent) and isinstance(inner, tfd.Normal):
        parameters = (
            tf.reshape(v, tf.concat([tf.shape(v)[:-1], shape], axis=0))
            for v in (inner.loc, inner.scale)
        )
        return tfd.Independent(tfd.Normal(*parameters), len(shape))
    return _Shaped(flat, shape)


class _Shaped(tfp.distributions.Distribution):
    """`tfd.TransformedDistribution` would take a density on a sphere for one in R^D."""

    def __init__(self, flat: Any, shape: tuple[int, ...]) -> None:
        parameters = dict(locals())
        super().__init__(
            dtype=flat.dtype,
            reparameterization_type=flat.reparameterization_type,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=f"Shaped{flat.name}",
        )
        self._flat = flat
        self._shape = tuple(shape)

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> Any:
        properties = tfp.util.ParameterProperties
        batch = tfp.util.BatchedComponentProperties
        return {"flat": batch(), "shape": properties(event_ndims=None)}

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape(self._shape)

    def _event_shape_tensor(self) -> Tensor:
        return tf.constant(self._shape, tf.int32)

    def _batch_shape(self) -> tf.TensorShape:
        return self._flat.batch_shape

    def _batch_shape_tensor(self, **parameters: Any) -> Tensor:
        return self._flat.batch_shape_tensor()

    def _sample_n(self, n: int, seed: Any = None) -> Tensor:
        return self._shaped(self._flat.sample(n, seed=seed))

    def _log_prob(self, value: Tensor) -> Tensor:
        lead = tf.shape(value)[: -len(self._shape)]
        size = [math.prod(self._shape)]
        return self._flat.log_prob(tf.reshape(value, tf.concat([lead, size], axis=0)))

    def _mean(self) -> Tensor:
        return self._shaped(self._flat.mean())

    def _stddev(self) -> Tensor:
        return self._shaped(self._flat.stddev())

    def _shaped(self, vectors: Tensor) -> Tensor:
        return tf.reshape(vectors, tf.concat([tf.shape(vectors)[:-1], self._shape], 0))
