"""The input pipeline: shuffled and binarized inside the graph, in memory or from disk."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_seed
from kvae.core.types import Tensor
from kvae.training.data.sources.examples_on_disk import ExamplesOnDisk

TEST_BINARIZATION_SEED = 20160301
"""The test set is binarized once, with this seed in every run, so runs compare."""

_PIXELS = 0xB1  # keeps the pixels of a step apart from the model's latents of that step

_READS_AT_ONCE = 4  # batches that are read at the same time, if data are on disk


def training_batches(
    x: np.ndarray | ExamplesOnDisk,
    batch_size: int,
    seed: int,
    binarize: bool = False,
    first_epoch: int = 0,
    condition: np.ndarray | None = None,
    first_batch: int = 0,
    nan_is_hidden: bool = False,
) -> tf.data.Dataset:
    """Makes an endless data set of batches, in a new order (with new pixels) each epoch.

    Batch s of epoch e depends on (seed, e, s) alone. Nothing is drawn from a state, so
    a run can be repeated, or continued from `first_batch`, bit for bit. The last batch
    of an epoch holds the remaining examples. Examples on disk are read a few batches
    ahead, and skipped ones are not read; the batches are the same.

    Args:
        x: (N, *shape) float32, or `ExamplesOnDisk`; with `binarize`, probabilities in
            [0, 1].
        batch_size: B.
        seed: of order and pixels.
        binarize: draw each pixel as 1 with probability x, else 0.
        first_epoch: where to begin.
        condition: (N, ...) the condition of each example, or None.
        first_batch: how many batches to skip, from the start of `first_epoch`.
        nan_is_hidden: make a mask of the entries that are NaN.

    Returns:
        dataset: of (B, *shape) float32, or with a condition or a mask of dicts of "x"
            and "condition" or "mask"; `steps_per_epoch` batches are one epoch.
    """
    count = len(x)
    steps = steps_per_epoch(count, batch_size)
    # If it is the same for all, TensorFlow's convolutions gain from knowing it.
    known_size = batch_size if count % batch_size == 0 else None
    on_disk = x if isinstance(x, ExamplesOnDisk) else None
    with tf.device("cpu"):  # the pipeline runs on the host, whatever device trains
        pixels = tf.constant(x, tf.float32) if on_disk is None else None
        given = None if condition is None else tf.constant(condition)

    def epoch_rows(epoch: Tensor) -> tf.data.Dataset:
        key = tf.stack([seed, tf.cast(epoch, tf.int32)])
        order = tf.random.experimental.stateless_shuffle(tf.range(count), key)

        def batch_rows(index: Tensor) -> tuple[Tensor, Tensor]:
            start = index * batch_size
            rows = order[start : start + batch_size]
            return epoch * steps + index, tf.ensure_shape(rows, (known_size,))

        return tf.data.Dataset.range(steps).map(batch_rows)

    def read(step: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert on_disk is not None
        return step, rows, on_disk.read_in_graph(rows)

    def batch(
        step: Tensor, rows: Tensor, raw: Tensor | None = None
    ) -> Tensor | dict[str, Tensor]:
        if on_disk is None:
            chosen = tf.gather(pixels, rows)
        else:
            chosen = on_disk.scale(raw)
        if binarize:
            key = tf.stack([seed, tf.cast(step, tf.int32)])
            key = tf.random.experimental.stateless_fold_in(key, _PIXELS)
            chosen = draw_pixels(chosen, key)
        chosen = tf.ensure_shape(chosen, (known_size, *x.shape[1:]))
        parts = {"x": chosen}
        if nan_is_hidden:
            seen = ~tf.math.is_nan(chosen)
            parts = {"x": tf.where(seen, chosen, tf.zeros_like(chosen)), "mask": seen}
        if given is not None:
            parts["condition"] = tf.gather(given, rows)
        return parts if len(parts) > 1 else chosen

    left_out, within = divmod(first_batch, steps)
    begin = first_epoch + left_out
    epochs = tf.data.Dataset.range(begin, np.iinfo(np.int32).max)
    rows = epochs.flat_map(epoch_rows).skip(within)
    options = tf.data.Options()
    options.autotune.enabled = False
    ahead = 4
    if on_disk is not None:
        # Waiting batches are bytes, as on disk; only the next two steps are floats.
        # Separate threads, so that one that waits for the disk takes none from the
        # model.
        rows = rows.map(read, num_parallel_calls=_READS_AT_ONCE, deterministic=True)
        options.threading.private_threadpool_size = _READS_AT_ONCE + 2
        ahead = 2
    mapped = rows.map(batch, num_parallel_calls=2, deterministic=True)
    return mapped.prefetch(ahead).with_options(options)


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Returns how many batches an epoch has; the last one may be smaller."""
    return math.ceil(count / batch_size)


def draw_pixels(x: Tensor, key: Tensor) -> Tensor:
    """Draws binary pixels: 1 with probability x. Exact at 0 and 1; (2,) int32 key."""
    uniform = tf.random.stateless_uniform(tf.shape(x), key)  # in [0, 1)
    return tf.cast(uniform < x, x.dtype)


def binarize_once(x: np.ndarray, seed: int = TEST_BINARIZATION_SEED) -> np.ndarray:
    """Binarizes a test or validation set: 1 with probability x, from a fixed seed.

    Args:
        x: (N, *shape) in [0, 1].
        seed: of the draw.

    Returns:
        binary: (N, *shape) float32, zeros and ones.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise ValueError(f"x must hold numbers in [0, 1]; received dtype={x.dtype}.")
    generator = np.random.Generator(np.random.PCG64(check_seed(seed)))
    uniform = generator.random(x.shape, dtype=np.float32)
    return (uniform < x).astype("float32")
