"""The history of a run, on disk after every epoch."""

from __future__ import annotations

import csv
import io
import pathlib
from typing import Any

import keras

from kvae.core.atomic import write_text


class HistoryFile(keras.callbacks.Callback):
    """Keeps history.csv: one row per epoch, in a file that is always complete.

    Args:
        path: of the CSV file; None keeps the rows in memory, as all workers but the
            first do.
    """

    saved_attributes = ("rows",)  # saved in checkpoints

    def __init__(self, path: pathlib.Path | None) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds a row and replaces the file."""
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        values = {key: float(value) for key, value in sorted((logs or {}).items())}
        self.rows.append({"epoch": epoch + 1, **values, "learning_rate": rate})
        if self.path is None:
            return
        text = io.StringIO()
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
