"""The maximum mean discrepancy between the aggregate posterior and the prior."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.inputs import Inputs
from kvae.core.types import LossParts, Tensor
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.weight import Schedule, Weight, Weighted
from kvae.objectives.wrapper import Wrapper, normals_beside

_PRIOR = 0x33D
_KERNELS = ("inverse_multiquadratic", "gaussian")


@keras.saving.register_keras_serializable(package="kvae")
class MMD(Weighted, Wrapper):
    """Adds the maximum mean discrepancy of q(z) from p(z).

        loss  = objective + weight * MMD^2(q(z), p(z))
        MMD^2 = E k(z, z') + E k(u, u') - 2 E k(z, u),  z, z' from q(z), u, u' from p(z)

    With C = 2 D scale^2, the kernels are "inverse_multiquadratic", C / (C + |z - u|^2), and
    "gaussian", exp(-|z - u|^2 / C), each averaged over `scales`. The estimate is unbiased,
    so it can be negative. It uses the batch (of one replica), weighted by `sample_weight`,
    and as many draws from the prior. The metric `mmd` reports it.

    InfoVAE with its alpha and lambda is `MMD(ELBO(beta=1 - alpha), alpha + lambda - 1)`,
    WAE-MMD is `MMD(ELBO(beta=0), lambda)`.

    Args:
        objective: the objective to which the term is added; the plain `ELBO` if None.
        weight: weight of the term, a number or a schedule (reported as `mmd_weight`).
        kernel: "inverse_multiquadratic" or "gaussian".
        scales: widths of the kernel, in units of the prior's scale.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `weight`, `kernel`, or `scales` is out of range.

    Source: Zhao, Song, Ermon 2017, "InfoVAE", arXiv:1706.02262; Tolstikhin et al. 2018,
        "Wasserstein auto-encoders", arXiv:1711.01558.
    """

    def __init__(
        self,
        objective: Objective | None = None,
        weight: float | Schedule = 10.0,
        *,
        kernel: str = "inverse_multiquadratic",
        scales: tuple[float, ...] = (1.0,),
        **kwargs: Any,
    ) -> None:
        super().__init__(objective, **kwargs)
        if kernel not in _KERNELS:
            raise ValueError(
                f"MMD expects kernel to be one of {_KERNELS}; received {kernel!r}."
            )
        given = scales if isinstance(scales, (tuple, list)) else ()
        if not given or not all(is_number(scale) and scale > 0 for scale in given):
            raise ValueError(
                f"MMD expects scales to be positive numbers; received {scales!r}."
            )
        self.kernel = kernel
        self.scales = tuple(scales)
        self._weight = Weight(self, "weight", weight, metric="mmd_weight")

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Adds the discrepancy of the batch to the data term of each example."""
        parts, draw = self.wrapped_parts(model, inputs, noise, training)
        normals = normals_beside(noise, _PRIOR, draw.z, model.prior.noise_dim)
        prior_z = model.prior.sample(draw.prior, normals)
        each = unbiased_mmd(
            draw.z, prior_z, self.kernel, self.scales, inputs.sample_weight
        )
        value = tf.reduce_mean(each)
        term = self._weight.at(model, value.dtype) * value
        return dataclasses.replace(
            parts,
            data_term=parts.data_term + term,
            metrics={**parts.metrics, "mmd": value, **self._weight.metrics(model)},
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "weight": self._weight.config(),
            "kernel": self.kernel,
            "scales": self.scales,
        }


def unbiased_mmd(
    z: Tensor,
    u: Tensor,
    kernel: str,
    scales: tuple[float, ...],
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Estimates the squared maximum mean discrepancy of two samples.

        sum_{i != j} k(z_i, z_j) / (B (B - 1)) + the same for u - 2 mean_ij k(z_i, u_j)

    Args:
        z: (..., B, D) draws from one distribution.
        u: (..., B, D) draws from the other.
        kernel: "inverse_multiquadratic" or "gaussian".
        scales: widths, see `MMD`.
        sample_weight: (B,) how much each z counts, or None.

    Returns:
        mmd: (...) estimates; 0 if fewer than two examples count.
    """
    uniform = tf.ones(tf.shape(z)[-2:-1], z.dtype)
    weight = uniform if sample_weight is None else tf.cast(sample_weight, z.dtype)

    def mean(a: Tensor, b: Tensor, left: Tensor, right: Tensor, own: bool) -> Tensor:
        pairs = left[:, None] * right[None, :]
        if own:
            pairs = tf.linalg.set_diag(pairs, tf.zeros_like(left))
        values = pairs * _kernel(a, b, kernel, scales)
        total = tf.reduce_sum(values, axis=(-2, -1))
        return tf.math.divide_no_nan(total, tf.reduce_sum(pairs))

    mmd = (
        mean(z, z, weight, weight, True)
        + mean(u, u, uniform, uniform, True)
        - 2.0 * mean(z, u, weight, uniform, False)
    )
    enough = tf.math.count_nonzero(weight) >= 2
    return tf.where(enough, mmd, tf.zeros_like(mmd))


def _kernel(a: Tensor, b: Tensor, kernel: str, scales: tuple[float, ...]) -> Tensor:
    """Evaluates the kernel of all pairs: (..., B, B)."""
    squares = tf.reduce_sum(tf.square(a), -1)[..., :, None]
    squares += tf.reduce_sum(tf.square(b), -1)[..., None, :]
    # By cancellation, a distance can be slightly below zero.
    squares = tf.maximum(squares - 2.0 * tf.matmul(a, b, transpose_b=True), 0.0)
    widths = [2.0 * a.shape[-1] * scale**2 for scale in scales]
    if kernel == "gaussian":
        values = [tf.exp(-squares / width) for width in widths]
    else:
        values = [width / (width + squares) for width in widths]
    return tf.add_n(values) / len(values)
