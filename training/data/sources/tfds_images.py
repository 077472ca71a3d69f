"""Image data sets of TensorFlow Datasets, by name."""

from __future__ import annotations

import os
import pathlib
import socket
import urllib.parse
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.errors import UserError, nearest
from kvae.core.extras import require
from kvae.core.quiet import quiet
from kvae.training.data.sources.data_set import Raw
from kvae.training.data.sources.picture import AS_THEY_ARE, PictureOptions
from kvae.training.data.sources.source import Request, Source

_PROBE = ("storage.googleapis.com", 443)  # hosts the index and many of the files
_SPLITS = {"train": "train", "test": "test", "validation": "validation"}


class TfdsImages(Source):
    """An image data set of TFDS, by a name that doesn't look like a path."""

    def matches(self, name: str) -> bool:
        """Returns whether a name may be that of a data set: "mnist", "emnist/letters"."""
        path = pathlib.Path(name).expanduser()
        if "/" not in name:
            return not path.is_file()
        return not (path.exists() or path.parent.is_dir() or name[0] in "/.~")

    def read(self, name: str, request: Request) -> Raw:
        """Reads it; see `read_tfds`."""
        return read_tfds(name, request.data_dir, request.images)


def read_tfds(
    name: str, data_dir: str | None = None, options: PictureOptions = AS_THEY_ARE
) -> Raw:
    """Reads an image data set of TFDS from disk, or downloads it.

    Args:
        name: for example "mnist", "fashion_mnist", "binarized_mnist".
        data_dir: where TFDS keeps its data; None means its own default.
        options: the size to which images are scaled, and how; without a size, all must
            have the same size.

    Returns:
        raw: images (N, H, W, C), with labels if the data set has them.

    Raises:
        UserError: if there is no such data set, it doesn't hold images of one size, it
            does not fit in memory, or it is not on disk and can't be downloaded.
    """
    tfds = require("tensorflow_datasets", f"the data set {name!r}", extra="train")
    if data_dir is not None and not pathlib.Path(data_dir).expanduser().is_dir():
        raise UserError(f"there is no folder {data_dir}; check --data-dir.")
    with quiet("absl", "tensorflow", "urllib3"):
        builder = _builder(tfds, name, data_dir)
        image, label = _features(tfds, name, builder.info.features, options.size)
        if not builder.is_prepared():
            _download(tfds, name, builder)
        shape = builder.info.features[image].shape
        shape = shape if options.size is None else (*options.size, shape[-1])
        _check_memory(name, builder, shape)
        splits = {p: s for p, s in _SPLITS.items() if s in builder.info.splits}
        if "train" not in splits:
            raise UserError(
                f"{name} has the splits {', '.join(builder.info.splits)}, but no train "
                "split."
            )
        keys = (image, label)
        parts = {p: _read(tfds, builder, s, keys, options) for p, s in splits.items()}
    names = None if label is None else builder.info.features[label].names
    return Raw(
        name=name,
        train=parts["train"][0],
        test=parts["test"][0] if "test" in parts else None,
        validation=parts["validation"][0] if "validation" in parts else None,
        labels={p: v[1] for p, v in parts.items() if v[1] is not None},
        label_names=tuple(names) if names else None,
    )


def _builder(tfds: Any, name: str, data_dir: str | None) -> Any:
    try:
        return tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError, AssertionError) as error:
        known = {
            *tfds.list_builders(with_community_datasets=False),
            "digits",
            "flowers",
        }
        if name.split("/")[0].split(":")[0] in known:
            raise UserError(
                f"the data set {name!r} cannot be opened: {error}"
            ) from None
        raise UserError(
            f"there is no data set {name!r}. {nearest(name, known)} Or use a .npy or "
            ".npz file, or a folder of images."
        ) from None


def _features(
    tfds: Any, name: str, features: Any, size: tuple[int, int] | None
) -> tuple[str, str | None]:
    """Finds the image and the label among the features of an example."""
    kinds = (
        {key: features[key] for key in features} if hasattr(features, "keys") else {}
    )
    images = [k for k, f in kinds.items() if isinstance(f, tfds.features.Image)]
    if not images:
        raise UserError(
            f"{name} holds {', '.join(kinds) or type(features).__name__}, but no "
            "image; choose an image data set such as mnist."
        )
    image = "image" if "image" in images else images[0]
    if size is None and None in kinds[image].shape:
        raise UserError(
            f"the images of {name} differ in size; choose one, for example --size 64x64."
        )
    labels = [k for k, f in kinds.items() if isinstance(f, tfds.features.ClassLabel)]
    return image, ("label" if "label" in labels else labels[0] if labels else None)


def _download(tfds: Any, name: str, builder: Any) -> None:
    folder = builder.data_path
    if not _network():
        raise UserError(
            f"{name} is not prepared in {folder.parent.parent} and there is no network "
            "to download it: prepare it on a machine that has one, python -c 'import "
            f'tensorflow_datasets as t; t.builder("{name}", data_dir="DIR")'
            ".download_and_prepare()', copy DIR here and give --data-dir DIR; or use "
            "--data digits or flowers, which need no network."
        )
    try:
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises many kinds, down to bare assertions
        raise UserError(
            f"{name} could not be downloaded or prepared in {folder}: {error}"
        ) from error


def _network(timeout: float = 5.0) -> bool:
    """Checks whether the internet responds, because TFDS would retry for minutes."""
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    parsed = urllib.parse.urlparse(proxy or "")
    target = (parsed.hostname, parsed.port or 443) if parsed.hostname else _PROBE
    try:
        with socket.create_connection(target, timeout=timeout):
            return True
    except OSError:
        return False


def _check_memory(name: str, builder: Any, shape: tuple[int, ...]) -> None:
    pixels = int(np.prod(shape))
    examples = sum(s.num_examples for s in builder.info.splits.values())
    needed = 5 * pixels * examples  # as uint8, then as float32
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > 0.8 * memory:
        raise UserError(
            f"{name} needs {needed / 2**30:.0f} GiB in memory and this machine has "
            f"{memory / 2**30:.0f}; write it with kvae.training.write_shards to files "
            "that are read on demand, and use their folder."
        )


def _read(
    tfds: Any,
    builder: Any,
    split: str,
    keys: tuple[str, str | None],
    options: PictureOptions,
) -> tuple[np.ndarray, np.ndarray | None]:
    image, label = keys
    dataset = builder.as_dataset(split=split, shuffle_files=False)
    dataset = dataset.map(lambda example: {k: example[k] for k in keys if k})
    if options.size is not None:
        dataset = dataset.map(
            lambda example: {**example, image: _scaled(example[image], options)},
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    batches = list(tfds.as_numpy(dataset.batch(4096)))
    images = np.concatenate([batch[image] for batch in batches])
    if label is None:
        return images, None
    return images, np.concatenate([batch[label] for batch in batches])


def _scaled(pixels: tf.Tensor, options: PictureOptions) -> tf.Tensor:
    """Scales (H, W, C) bytes as `read_picture` does a file."""
    assert options.size is not None
    height, width = options.size
    if options.resize == "crop":
        rows, columns = tf.unstack(tf.shape(pixels)[:2])
        most_rows = tf.math.floordiv(columns * height, width)
        most_columns = tf.math.floordiv(rows * width, height)
        pixels = tf.image.resize_with_crop_or_pad(
            pixels, tf.minimum(rows, most_rows), tf.minimum(columns, most_columns)
        )
    resized = tf.image.resize(pixels, (height, width), "bicubic", antialias=True)
    largest = pixels.dtype.max
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, largest), pixels.dtype)
