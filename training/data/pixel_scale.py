"""Scales pixels that a run has not seen like those that it was trained on."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np

from kvae.core.errors import UserError
from kvae.training.data.sources import Raw
from kvae.training.data.sources.data_set import scale

_LOG = logging.getLogger("kvae")


@dataclasses.dataclass(frozen=True)
class PixelScale:
    """The known scale of the pixels that a model was trained on.

    Attributes:
        pixel_max: the divisor of all numbers, if the run sets one, or None.
        divisor: the divisor of integers in training; None if it is unknown, or the
            examples were floats.
        pixel_range: smallest and largest value of a pixel in training.
    """

    pixel_max: float | None = None
    divisor: float | None = None
    pixel_range: tuple[float, float] = (0.0, 1.0)

    def divisor_of(self, raw: Raw, samples: dict[str, np.ndarray]) -> float:
        """Finds the divisor for the numbers of a source, and logs it.

        Integers are divided by the same number as in training. If it is unknown, it
        follows from their dtype and a sample, as in `load_data`.

        Args:
            raw: the source, for its name and dtype.
            samples: of its parts, by name.

        Returns:
            divisor: 1 for floats that are used as they are.

        Raises:
            UserError: if integers don't have the range of pixels, or the model was
                trained on floats with another range than [0, 1].
        """
        dtype = raw.train.dtype
        if self.pixel_max is not None:
            divisor, why = self.pixel_max, "as the run's pixel_max says"
        elif dtype.kind not in "iu":
            return 1.0
        elif self.divisor is not None:
            divisor, why = self.divisor, "as in training"
        elif self.pixel_range != (0.0, 1.0):
            raise UserError(
                f"{raw.name} holds {dtype} and the model was trained on numbers from "
                f"{self.pixel_range[0]:.3g} to {self.pixel_range[1]:.3g}; it is not "
                "known which integer stands for which number. Scale the integers to "
                "that range, and save floats."
            )
        else:
            _, divisor, _ = scale(raw, dict(samples), None, [])
            why = "by their dtype and values, because the run has no record of integers"
        _LOG.info("%s: %s values are divided by %g, %s", raw.name, dtype, divisor, why)
        return float(divisor)

    def checks(self, dtype: np.dtype) -> bool:
        """Returns whether all numbers of a source must be in [0, 1] after division."""
        return dtype.kind in "iu" and self.pixel_range == (0.0, 1.0)
