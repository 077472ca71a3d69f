"""The 8x8 digits that scikit-learn ships: no network, no files."""

from __future__ import annotations

import numpy as np

from kvae.core.extras import require
from kvae.training.data.sources.data_set import Raw
from kvae.training.data.sources.source import Request, Source


class Digits(Source):
    """The digits of scikit-learn, by the name "digits"."""

    def matches(self, name: str) -> bool:
        """Returns whether the name is "digits"."""
        return name == "digits"

    def read(self, name: str, request: Request) -> Raw:
        """Reads them; see `read_digits`."""
        del name, request
        return read_digits()


def read_digits() -> Raw:
    """Reads 1797 handwritten digits of 8x8 pixels with 17 gray levels.

    Returns:
        raw: (1797, 8, 8, 1) integers from 0 to 16, with labels, not split.

    Raises:
        MissingExtra: if scikit-learn is not installed.

    Source: Alpaydin, Kaynak 1998, "Optical recognition of handwritten digits", UCI.
    """
    bundled = require("sklearn.datasets", "the digits data set").load_digits()
    return Raw(
        name="digits",
        train=bundled.images.astype("uint8")[..., None],
        labels={"train": bundled.target.astype(np.int64)},
        label_names=tuple(map(str, range(10))),
        pixel_max=16.0,
    )
