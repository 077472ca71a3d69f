"""A distance of structure."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.types import Tensor
from kvae.maths import ms_ssim
from kvae.networks.distance import Distance


@keras.saving.register_keras_serializable(package="kvae")
class MultiScaleSSIM(Distance):
    """One minus the multi-scale structural similarity of two pictures.

        distance = 1 - MS-SSIM(a, b), from 0 to 1

    `kvae.maths.ms_ssim` has the formula and the number of scales: 2 at 28 pixels a side,
    3 at 64, 4 at 128, and 5 from 161 on.

    Args:
        max_value: the largest value of a pixel; the smallest is 0.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `max_value` is not above 0, or pictures are smaller than 11x11.

    Source: Wang, Simoncelli, Bovik 2003, "Multiscale structural similarity for image
        quality assessment"; as a loss: Zhao et al. 2015, arXiv:1511.08861.
    """

    metric = "ms_ssim_distance"

    def __init__(self, max_value: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        if not is_number(max_value) or max_value <= 0:
            raise ValueError(
                "MultiScaleSSIM expects max_value to be the largest value of a pixel, "
                f"above 0; received {max_value!r}."
            )
        self.max_value = max_value
        self.built = True

    def prepare(self, data_shape: tuple[int, ...]) -> None:
        """Checks that examples are pictures of at least 11x11 pixels."""
        if len(data_shape) not in (2, 3) or min(data_shape[:2]) < 11:
            raise ValueError(
                "MS-SSIM compares pictures (H, W) or (H, W, C) of at least 11x11 pixels; "
                f"received examples of shape {data_shape}."
            )

    def call(self, a: Tensor, b: Tensor) -> Tensor:
        """Compares pictures (B, H, W) or (B, H, W, C): (B,)."""
        a, b = (tf.convert_to_tensor(x) for x in (a, b))
        if len(a.shape) == 3:
            a, b = a[..., None], b[..., None]
        return 1.0 - ms_ssim(a, b, self.max_value)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "max_value": self.max_value}
