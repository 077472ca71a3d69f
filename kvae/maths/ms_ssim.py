"""Multi-scale structural similarity of pictures."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Tensor

SMALLEST = 11
"""Pixels a side of the window, and so of the smallest picture."""

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_SIGMA = 1.5  # pixels, of the window
_FLOOR = 1e-6  # the gradient of a power is not finite at 0


@tensor_arguments
def ms_ssim(a: Tensor, b: Tensor, max_value: float = 1.0) -> Tensor:
    """Computes how similar pictures are in structure, at several scales; 1 if equal.

        MS-SSIM = mean over channels of l_M^w_M prod_{j <= M} cs_j^w_j
        l  = (2 mu_a mu_b + c1) / (mu_a^2 + mu_b^2 + c1),           c1 = (0.01 max_value)^2
        cs = (2 cov_ab + c2) / (var_a + var_b + c2),                c2 = (0.03 max_value)^2

    Means, variances, and covariances are those in a normal window of 11x11 pixels (standard
    deviation 1.5); cs, and l cs at the last scale, are averaged over all windows within the
    picture. Scale j + 1 has half the pixels of scale j. There are as many scales as have 11
    pixels a side, 5 at most, which takes 161 pixels. With fewer, the paper's exponents
    (0.0448, 0.2856, 0.3001, 0.2363, 0.1333) are cut off and divided by their sum. Factors
    below 1e-6, as of negative covariances, count as 1e-6.

    With five scales, the value is that of `tf.image.ssim_multiscale`, whose gradient is NaN
    where a covariance is negative on average.

    Args:
        a: (B, H, W, C) pictures of at least 11x11 pixels, H and W known.
        b: (B, H, W, C) pictures.
        max_value: the largest value of a pixel; the smallest is 0.

    Returns:
        similarity: (B,), at most 1.

    Raises:
        ValueError: if the pictures are too small.

    Source: Wang, Simoncelli, Bovik 2003, "Multiscale structural similarity for image
        quality assessment", equations 1 to 7.
    """
    if len(a.shape) != 4:
        raise ValueError(
            f"MS-SSIM takes pictures (B, H, W, C); received shape {tuple(a.shape)}."
        )
    height, width, channels = a.shape[1:]
    side = min(height, width)
    if side < SMALLEST:
        raise ValueError(
            f"MS-SSIM needs pictures of at least {SMALLEST}x{SMALLEST} pixels; received "
            f"{height}x{width}."
        )
    # Channels are compared one by one: each is a picture of its own.
    a, b = (
        tf.reshape(tf.transpose(x, (0, 3, 1, 2)), (-1, height, width, 1))
        for x in (a, b)
    )
    factors: list[Tensor] = []
    while True:
        luminance, structure = _compare(a, b, max_value)
        side = math.ceil(side / 2)
        if side < SMALLEST or len(factors) == len(_WEIGHTS) - 1:
            factors.append(tf.reduce_mean(luminance * structure, axis=(1, 2, 3)))
            break
        factors.append(tf.reduce_mean(structure, axis=(1, 2, 3)))
        # Of an odd side, the last pixel makes one alone.
        a, b = (tf.nn.avg_pool2d(x, 2, 2, "SAME") for x in (a, b))
    weights = np.array(_WEIGHTS[: len(factors)])
    powers = [
        tf.pow(tf.maximum(factor, _FLOOR), weight)
        for factor, weight in zip(factors, weights / weights.sum(), strict=True)
    ]
    each = math.prod(powers[1:], start=powers[0])
    return tf.reduce_mean(tf.reshape(each, (-1, channels)), axis=1)


def _compare(a: Tensor, b: Tensor, max_value: float) -> tuple[Tensor, Tensor]:
    """Luminance and structure at every window, each (N, h, w, 1)."""
    moments = tf.concat([a, b, a * b, a * a + b * b], axis=0)
    mean_a, mean_b, product, squares = tf.split(_window(moments), 4, axis=0)
    means, square = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    c1, c2 = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2
    luminance = (2.0 * means + c1) / (square + c1)
    structure = (2.0 * (product - means) + c2) / (squares - square + c2)
    return luminance, structure


def _window(x: Tensor) -> Tensor:
    """Averages (N, H, W, 1) in a normal window, one axis after the other."""
    places = np.arange(SMALLEST) - SMALLEST // 2
    window = np.exp(-0.5 * (places / _SIGMA) ** 2)
    kernel = tf.constant(window / window.sum(), x.dtype)
    for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
        x = tf.nn.conv2d(x, tf.reshape(kernel, shape), 1, "VALID")
    return x
