"""A TFP distribution from the two directions of a flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow_probability as tfp

from kvae.core.types import Tensor

tfd = tfp.distributions

Map: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From (..., D) to (..., D) and the log-determinant of the Jacobian, (...)."""


def flow_distribution(base: Any, forward: Map, inverse: Map) -> Any:
    """Makes the distribution of z = forward(u), where u follows a base distribution.

        log p(z) = log p_base(u) + log |det du/dz|,  u = inverse(z)

    Args:
        base: `tfd.Distribution` of u with event (D,).
        forward: from u to z and log |det dz/du|.
        inverse: from z to u and log |det du/dz|.

    Returns:
        distribution: a `tfd.TransformedDistribution` with the batch of the base.
    """
    return tfd.TransformedDistribution(base, _Flow(forward, inverse, base.dtype))


class _Flow(tfp.bijectors.Bijector):
    def __init__(self, forward: Map, inverse: Map, dtype: Any) -> None:
        parameters = dict(locals())
        super().__init__(
            forward_min_event_ndims=1, dtype=dtype, parameters=parameters, name="flow"
        )
        self._forward_map = forward
        self._inverse_map = inverse

    def _forward(self, x: Tensor) -> Tensor:
        return self._forward_map(x)[0]

    def _forward_log_det_jacobian(self, x: Tensor) -> Tensor:
        return self._forward_map(x)[1]

    def _inverse(self, y: Tensor) -> Tensor:
        return self._inverse_map(y)[0]

    def _inverse_log_det_jacobian(self, y: Tensor) -> Tensor:
        return self._inverse_map(y)[1]
