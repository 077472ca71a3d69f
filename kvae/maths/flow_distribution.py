"""A TFP distribution from the two directions of a flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor

tfd = tfp.distributions

Map: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From (..., D) to (..., D) and the log-determinant of the Jacobian, (...)."""


def flow_distribution(
    base: Any,
    forward: Map,
    inverse: Map,
    select: Callable[[Any], Any] | None = None,
) -> Any:
    """Makes the distribution of z = forward(u), where u follows a base distribution.

        log p(z) = log p_base(u) + log |det du/dz|,  u = inverse(z)

    Args:
        base: `tfd.Distribution` of u with event (D,).
        forward: from u to z and log |det dz/du|.
        inverse: from z to u and log |det du/dz|.
        select: makes the distribution of a part of the batch, given a slice.

    Returns:
        distribution: a `tfd.TransformedDistribution` with the batch of the base.
    """
    if not isinstance(base, tfd.Distribution):
        raise TypeError(f"base must be a tfd.Distribution; received {base!r}.")
    return _FlowDistribution(base, _Flow(forward, inverse, base.dtype), select)


def rows_of(make: Callable[[Params], Any], params: Params) -> Callable[[Any], Any]:
    """Makes `select` of `flow_distribution`: the distribution of some rows of params."""
    return lambda slices: make({name: v[slices] for name, v in params.items()})


class _FlowDistribution(tfp.distributions.TransformedDistribution):
    """Explains what a flow doesn't have, and supports slices if `select` is given."""

    def __init__(
        self, base: Any, flow: Any, select: Callable[[Any], Any] | None
    ) -> None:
        super().__init__(base, flow, name="flow")
        self._select = select

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> Any:
        return tfd.TransformedDistribution._parameter_properties(dtype, num_classes)

    def __getitem__(self, slices: Any) -> Any:
        if self._select is None:
            raise NotImplementedError(
                "this distribution has one flow for its whole batch, so it can't be "
                "sliced."
            )
        if isinstance(slices, int):
            one = self._select(slice(slices, slices + 1 or None))
            return tfd.BatchReshape(one, [])
        return self._select(slices)

    def _mean(self) -> Tensor:
        return self._no_closed_form("mean", "tf.reduce_mean(q.sample(1000), axis=0)")

    def _stddev(self) -> Tensor:
        return self._no_closed_form("stddev", "tf.math.reduce_std(q.sample(1000), 0)")

    def _variance(self) -> Tensor:
        return self._no_closed_form(
            "variance", "tf.math.reduce_variance(q.sample(1000), 0)"
        )

    def _no_closed_form(self, name: str, estimate: str) -> Tensor:
        raise NotImplementedError(
            f"the {name} of a flow has no closed form. Estimate it, for example with "
            f"{estimate}, or use vae.embed(x), the image of the mean before the flow."
        )


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
