"""An initializer for pixel shuffle that draws no checkerboard."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.checks import MOST_LAYERS, check_size
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class ICNR(keras.initializers.Initializer):
    """Starts a convolution before `DepthToSpace` as nearest-neighbor upsampling.

        kernel[..., k * C + c] = base[..., c]    for k = 0 .. rate^2 - 1

    All rate^2 pixels that come from one position start with the same kernel. Kernels
    drawn independently would each have a different mean: a checkerboard over the whole
    picture, which training would have to remove first.

    Args:
        rate: r of the `DepthToSpace` that follows.
        base: draws the kernels of one pixel; any Keras initializer.

    Source: Aitken et al. 2017, arXiv:1707.02937.
    """

    def __init__(self, rate: int, base: Any = "lecun_normal") -> None:
        self.rate = check_size("rate", rate, most=MOST_LAYERS)
        self.base = keras.initializers.get(base)

    def __call__(self, shape: tuple[int, ...], dtype: Any = None, **_: Any) -> Tensor:
        """Draws a kernel of this shape.

        Raises:
            ValueError: if its output channels are not a multiple of rate^2.
        """
        copies = self.rate**2
        channels, rest = divmod(shape[-1], copies)
        if rest:
            raise ValueError(
                f"ICNR with rate={self.rate} expects a multiple of {copies} output "
                f"channels; received {shape[-1]}."
            )
        one = self.base((*shape[:-1], channels), dtype=dtype)
        return keras.ops.concatenate([one] * copies, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        base = keras.initializers.serialize(self.base)
        return {"rate": self.rate, "base": base}
