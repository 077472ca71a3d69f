"""The ratio to a universal model: a code for pictures."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.extras import require
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.scores.elbo import NegativeELBO

_TOP = 255.0


class ComplexityRatio(NegativeELBO):
    """Minus the ELBO in bits, less the bits that a code needs for the picture.

        score = (rate + distortion) / ln 2 - entries * log2(width of a level) - L(x)

    Simple pictures have a high likelihood wherever they come from. A code that knows
    nothing of the training data gives them few bits too, and the difference remains.
    Pixels are read as 256 levels; the second term, a constant, turns a density of real
    numbers into the probability of a level.

    Args:
        num_samples: K, latents per example of the ELBO.
        code: "prediction" predicts each pixel from its neighbors above and to the left
            and writes the error as an Elias gamma code (`predicted_bits`); "png" takes
            the size of a PNG file, which needs Pillow and gray or color pictures.

    Raises:
        ValueError: if the code is unknown.

    Source: Serra et al. 2020, arXiv:1909.11480, eq. 3.
    """

    name = "complexity_ratio"
    unit = "bits"
    needs_fit = True

    def __init__(self, num_samples: int = 16, code: str = "prediction") -> None:
        super().__init__(num_samples)
        if code not in ("prediction", "png"):
            raise ValueError(f'code must be "prediction" or "png"; received {code!r}.')
        self.code = code
        self.in_tensors = code == "prediction"

    def fit(self, vae: Any, x: Any, seed: int = 0) -> None:
        """Takes over the range of the data, between whose ends the 256 levels are.

        Raises:
            ValueError: if the examples are not pictures.
        """
        del seed
        if len(vae.data_shape) not in (2, 3):
            raise ValueError(
                "complexity_ratio is a score of pictures, (H, W) or (H, W, C); the model "
                f"takes examples of shape {vae.data_shape}."
            )
        values = np.asarray(vae.complete_inputs(x).x, "float64")
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high > 0:  # pictures that happen to have no white pixel
            low, high = 0.0, 1.0 if high <= 1 else max(high, _TOP)
        self.fitted = {
            "low": np.array(low),
            "width": np.array(max(high - low, 1e-12) / _TOP),
        }

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes the score, (B,) bits; with "png", without the last term."""
        bits = super().compute(model, inputs, key, fitted) / math.log(2.0)
        if model.likelihood.continuous:
            level = tf.math.log(fitted["width"]) / math.log(2.0)
            bits -= level * math.prod(model.data_shape)
        if self.code == "png":
            return bits
        x = tf.cast(inputs.x, model.maths_dtype)
        if inputs.mask is not None:
            x = tf.where(tf.cast(inputs.mask, tf.bool), x, fitted["low"])
        return bits - predicted_bits(_levels(x, fitted["low"], fitted["width"]))

    def __call__(
        self, vae: Any, x: Any, seed: int = 0, batch_size: int = 128
    ) -> np.ndarray:
        """Scores arrays, (N,) bits."""
        bits = super().__call__(vae, x, seed, batch_size)
        if self.code == "prediction":
            return bits
        values = np.asarray(vae.complete_inputs(x).x, "float32")
        levels = _levels(tf.constant(values), *map(float, self.fitted.values()))
        return bits - png_bits(levels.numpy().astype("uint8"))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "code": self.code}


def _levels(x: Tensor, low: Any, width: Any) -> Tensor:
    return tf.round(tf.clip_by_value((x - low) / width, 0.0, _TOP))


def predicted_bits(levels: Tensor) -> Tensor:
    """Counts the bits of each picture in a code that predicts every pixel.

        p = floor( (W + N) / 2 ),   bits = sum 2 floor(log2(2 |x - p| + 1)) + 1

    W and N are the neighbors to the left and above, 0 outside the picture. The signed
    error is written as the Elias gamma code of 1, 2, 3, ... for 0, 1, -1, 2, -2, ...

    Args:
        levels: (B, H, W) or (B, H, W, C) whole numbers; channels are coded apart.

    Returns:
        bits: (B,).

    Source: the prediction is filter 3 of PNG (W3C recommendation, section 9.2); the code,
        Elias 1975, "Universal codeword sets and representations of the integers".
    """
    apart = [[0, 0]] * (len(levels.shape) - 3)
    padded = tf.pad(levels, [[0, 0], [1, 0], [1, 0], *apart])
    guess = tf.floor(0.5 * (padded[:, 1:, :-1] + padded[:, :-1, 1:]))
    # An odd number is never a power of two but for 1, so rounding can't change the floor.
    odd = 2.0 * tf.abs(levels - guess) + 1.0
    bits = 2.0 * tf.floor(tf.math.log(odd) / math.log(2.0)) + 1.0
    return tf.reduce_sum(bits, axis=list(range(1, len(levels.shape))))


def png_bits(levels: np.ndarray) -> np.ndarray:
    """Counts the bits of each picture as a PNG file.

    Args:
        levels: (N, H, W), (N, H, W, 1) or (N, H, W, 3), uint8.

    Returns:
        bits: (N,) of the whole file.

    Raises:
        ValueError: if PNG can't hold the shape.
        ImportError: if Pillow is missing.
    """
    image = require("PIL.Image", "PNG files of pictures")
    pictures = levels[..., 0] if levels.shape[3:] == (1,) else levels
    if pictures.ndim != 3 and pictures.shape[3:] != (3,):
        raise ValueError(
            "PNG holds gray and color pictures, (N, H, W, 1) or (N, H, W, 3); received "
            f'{levels.shape}. Pass code="prediction".'
        )

    def size(picture: np.ndarray) -> float:
        file = io.BytesIO()
        image.fromarray(picture).save(file, "PNG", optimize=True)
        return 8.0 * file.tell()

    # One call of a C library per picture: a tenth of a millisecond for 28 x 28 pixels.
    return np.array([size(np.ascontiguousarray(picture)) for picture in pictures])
