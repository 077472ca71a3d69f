"""A target: the decoder as plain arrays, for programs that have NumPy alone."""

from pathlib import Path

import numpy as np

from kvae.export.targets.target import Converted, Target


class Arrays(Target):
    """decoder.npz."""

    kind = "arrays"
    runner = Path(__file__).with_name("run_arrays.py")

    def convert(self, task):
        hidden, out = (
            task.model.decoder.get_weights(),
            task.model.likelihood.get_weights(),
        )
        np.savez(task.stage / "decoder.npz", *hidden, *out)
        entry = self.entry("decoder.npz", task.endpoints.choose(("decode",)))
        return Converted(
            [entry | {"bytes": (task.stage / "decoder.npz").stat().st_size}]
        )

    def limits(self, precision):
        return {"*": 1e-5}
