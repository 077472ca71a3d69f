"""Draws pictures while a model trains."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.atomic import make_folder
from kvae.core.errors import UserError
from kvae.training.config.interval import Interval
from kvae.training.run.pictures import is_image, save_pictures

# The format of `tf.summary.image`, without needing TensorBoard, which only shows it.
_IMAGES = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="images")
)


class TrainingPictures(keras.callbacks.Callback):
    """Draws samples and reconstructions every few minutes of a fit.

        pictures = kvae.training.TrainingPictures("pictures", x_test)
        vae.fit(x, epochs=100, callbacks=[pictures])

    The files are `samples-epoch-007.png` and `reconstructions-epoch-007.png` for a
    picture drawn in the seventh epoch. All show the same examples and, as far as the
    prior stays the same, the same latents. Training doesn't depend on them.

    Args:
        folder: to write to; created with the first picture.
        x: (N, *data_shape) images that the model isn't trained on, or a dict of "x" and
            "condition"; the first 32 are reconstructed.
        every: how often: "5 minutes", "500 steps", "2 epochs" or "never".
        seed: of the samples.
        pixel_range: the values of black and white.
        log_dir: of `keras.callbacks.TensorBoard`, which then shows the pictures too, at
            their epochs; or None.

    Raises:
        UserError: if x are not images, or `every` is not an interval.
    """

    # Pictures are drawn where a batch begins, which Keras never does in a thread.
    async_safe = True

    def __init__(
        self,
        folder: pathlib.Path | str,
        x: Any,
        every: str = "5 minutes",
        seed: int = 0,
        pixel_range: tuple[float, float] = (0.0, 1.0),
        log_dir: pathlib.Path | str | None = None,
    ) -> None:
        super().__init__()
        images = x["x"] if isinstance(x, dict) else x
        if not is_image(np.shape(images)[1:]):
            raise UserError(
                "TrainingPictures expects images of shape (N, H, W), (N, H, W, 1), or "
                f"(N, H, W, 3); received {np.shape(images)}."
            )
        self.folder = pathlib.Path(folder).expanduser()
        self.x = x
        self.every = Interval.of(every)
        self.seed = seed
        self.pixel_range = pixel_range
        self.log_dir = log_dir
        self._writer: Any = None
        self._epoch = self._epochs = self._steps = 0
        self._drawn_at = (0, 0, 0.0)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        self._epochs = self._steps = 0
        self._drawn_at = (0, 0, time.monotonic())

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Draws the result of the batches so far, if it is time."""
        if batch:
            self._steps += self.model.steps_per_execution
        self._draw_if_due()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draws the result of the epoch, if it is time."""
        self._epochs += 1
        self._steps += self.model.steps_per_execution
        self._draw_if_due()

    def _draw_if_due(self) -> None:
        now = (self._epochs, self._steps, time.monotonic())
        passed = (new - old for new, old in zip(now, self._drawn_at, strict=True))
        epochs, steps, seconds = passed
        if not self.every.passed(int(epochs), int(steps), seconds):
            return
        make_folder(self.folder)
        name = f"-epoch-{self._epoch + 1:03d}"
        paths = save_pictures(
            self.folder, self.model, self.x, self.seed, self.pixel_range, name
        )
        if self.log_dir is not None:
            self._log(paths, name)
        self._drawn_at = (self._epochs, self._steps, time.monotonic())

    def _log(self, paths: list[pathlib.Path], name: str) -> None:
        """Passes pictures to TensorBoard as they are on disk."""
        if self._writer is None:  # beside what Keras' callback writes of training
            folder = pathlib.Path(self.log_dir or "").expanduser() / "train"
            self._writer = tf.summary.create_file_writer(str(folder))
        with self._writer.as_default(self._epoch):
            for path in paths:
                png = path.read_bytes()
                height, width, _ = tf.io.decode_png(png).shape
                parts = [str(width).encode(), str(height).encode(), png]
                tf.summary.write(
                    path.stem.removesuffix(name), tf.constant(parts), metadata=_IMAGES
                )
        self._writer.flush()
