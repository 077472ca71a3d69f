"""One shard of rows in a file: Parquet, or TFRecord of `tf.train.Example`."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.atomic import replacing
from kvae.core.errors import UserError
from kvae.core.extras import require

FORMATS = ("parquet", "tfrecord")


def check_format(name: str) -> None:
    """Raises unless shards can be written in a format.

    Raises:
        UserError: for an unknown format.
        MissingExtra: if its package is not installed, with the pip command.
    """
    if name not in FORMATS:
        raise UserError(
            f"the format must be {' or '.join(FORMATS)}; received {name!r}."
        )
    if name == "parquet":
        require("pyarrow.parquet", "writing Parquet", "parquet")


def write_shard(path: pathlib.Path, columns: dict[str, np.ndarray]) -> None:
    """Writes a file of rows, all or nothing; equal rows give equal bytes.

    Args:
        path: with the suffix .parquet or .tfrecord.
        columns: arrays of integers, floats or strings by name, (n,) or (n, ...);
            TFRecord holds floats as float32 and strings as UTF-8. A row with more than
            one axis is written flat, with the last axis fastest.

    Raises:
        WriteError: if the disk is full or read-only.
    """
    write: dict[str, Callable[[pathlib.Path, dict[str, np.ndarray]], None]] = {
        ".parquet": _write_parquet,
        ".tfrecord": _write_tfrecord,
    }
    with replacing(path) as beside:
        write[path.suffix](beside, columns)


def _write_parquet(path: pathlib.Path, columns: dict[str, np.ndarray]) -> None:
    arrow = require("pyarrow", "writing Parquet", "parquet")
    parquet = require("pyarrow.parquet", "writing Parquet", "parquet")

    def as_arrow(values: np.ndarray) -> Any:
        flat = arrow.array(values.reshape(-1))
        if values.ndim == 1:
            return flat
        width = int(np.prod(values.shape[1:]))
        return arrow.FixedSizeListArray.from_arrays(flat, width)

    table = {name: as_arrow(values) for name, values in columns.items()}
    parquet.write_table(arrow.table(table), path)


def _write_tfrecord(path: pathlib.Path, columns: dict[str, np.ndarray]) -> None:
    rows = len(next(iter(columns.values())))
    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in range(rows):
                feature = {name: _feature(v[row]) for name, v in columns.items()}
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                # Otherwise the order of a map is undefined.
                writer.write(example.SerializeToString(deterministic=True))
    except tf.errors.OpError as error:  # a full disk, in TensorFlow's words
        raise OSError(error.message) from error


def _feature(value: np.ndarray) -> tf.train.Feature:
    flat = np.reshape(value, -1)
    if flat.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=flat))
    if flat.dtype.kind == "U":
        texts = [str(text).encode() for text in flat]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=flat))
