"""Flowers that kvae draws: color pictures without a network or files."""

from __future__ import annotations

import numpy as np

from kvae.datasets import FLOWER_FACTORS, make_flowers
from kvae.training.data.sources.data_set import Raw
from kvae.training.data.sources.source import Request, Source


class Flowers(Source):
    """The flowers of `kvae.datasets.make_flowers`, by the name "flowers"."""

    def matches(self, name: str) -> bool:
        """Returns whether the name is "flowers"."""
        return name == "flowers"

    def read(self, name: str, request: Request) -> Raw:
        """Draws 3000 pictures of 32x32 pixels; labels are numbers of petals."""
        del request
        x, factors = make_flowers(3000)
        least, most = map(int, FLOWER_FACTORS["petals"])
        return Raw(
            name=name,
            train=x,
            labels={"train": factors[:, 0].astype(np.int64) - least},
            label_names=tuple(f"{n} petals" for n in range(least, most + 1)),
            pixel_max=255.0,
        )
