"""A data source."""

import numpy as np

from kvae.training.data import sources


class WaitingTimes(sources.Source):
    """Exponential waiting times, by the name "waits:N"."""

    def matches(self, name):
        return name.startswith("waits:")

    def read(self, name, request):
        rng = np.random.default_rng(0)
        shape = int(name.removeprefix("waits:")), 4
        return sources.Raw(name, train=rng.exponential(3.0, shape).astype("float32"))
