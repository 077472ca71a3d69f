"""Encodes and scores data larger than memory into a folder of shards."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import numbers
import pathlib
import time
from typing import Any

import numpy as np
import rich.console
import rich.progress
import tensorflow as tf

from kvae.core.batches import CompiledFunctions
from kvae.core.errors import UserError, user_errors
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.model import endpoints
from kvae.objectives import is_completing
from kvae.training.data.fingerprint import fingerprint
from kvae.training.data.rows import Rows
from kvae.training.encoding.label_column import LabelColumn
from kvae.training.encoding.shard_files import check_format, write_shard
from kvae.training.encoding.shard_folder import ShardFolder, joined_facts

_LOG = logging.getLogger("kvae")

_PARTS = ("encoder", "decoder", "posterior", "prior", "likelihood")
_DECIDING = ("posterior", "prior", "likelihood", "objective")


def encode_shards(
    vae: Any,
    data: Any,
    out: pathlib.Path | str,
    *,
    labels: Rows | None = None,
    texts: dict[str, Rows] | None = None,
    file_format: str = "parquet",
    shard_size: int = 65536,
    batch_size: int = 512,
    scores: bool = True,
    num_samples: int = 1,
    seed: int = 0,
    facts: dict[str, Any] | None = None,
) -> ShardFolder:
    """Writes q(z|x) and the ELBO of every example, with one shard in memory at a time.

    The columns are `index`; the parameters of q(z|x) as in `VAE.encode`, usually `loc`
    and `scale`; `mean`, the point that `reconstruct` decodes, if that is not `loc`;
    `elbo`, `rate` and `distortion` in nats, with the noise of `VAE.elbo`; `label`; and
    the texts.

    If you call it again after an interruption, it resumes at the first missing shard;
    on the same machine, the files are byte for byte those of an uninterrupted call.
    Batches don't depend on the shards, so no number depends on `shard_size`.

    Args:
        vae: a trained `kvae.VAE`.
        data: N rows of (*data_shape), or a dict of such rows with "x" and optionally
            "condition" and "mask": arrays, `ExamplesOnDisk`, or anything with a length
            that gives an array for `rows[a:b]`.
        out: the folder to create, or to resume.
        labels: (N,) numbers to write too, or None.
        texts: further columns by name, (N,) strings each, such as names of files.
        file_format: "parquet" or "tfrecord".
        shard_size: rows per file.
        batch_size: examples per pass; changes numbers only by rounding.
        scores: whether to estimate the ELBO too.
        num_samples: K, latents per example of the ELBO.
        seed: of the latents.
        facts: further entries of the manifest, such as the name of the data.

    Returns:
        folder: complete.

    Raises:
        UserError: if an option or the data do not fit, or `out` holds anything else.
        MissingExtra: for Parquet without pyarrow.
        WriteError: if the disk is full; the shards written so far remain.
    """
    check_format(file_format)
    _check_options(vae, shard_size, batch_size, num_samples, seed)
    with user_errors():
        rows: dict[str, Any] = Inputs.of(data).to_dict()
    compared = rows if labels is None else {**rows, "labels": labels}
    texts = texts or {}
    lengths = {n: _length(n, value) for n, value in {**compared, **texts}.items()}
    if len(set(lengths.values())) > 1:
        raise UserError(f"there must be one row per example; received {lengths}.")
    if not lengths["x"]:
        raise UserError("there are no examples to encode.")
    if lengths["x"] >= 2**31:
        raise UserError("there are 2**31 examples or more; encode one part at a time.")
    # JSON doesn't take NumPy's integers.
    shard_size, batch_size = int(shard_size), int(batch_size)
    num_samples, seed = int(num_samples), int(seed)
    column = None if labels is None else LabelColumn(labels, file_format)
    encoder = _Encoder(vae, rows, column, texts, batch_size, scores, num_samples, seed)
    first = encoder(0, min(batch_size, lengths["x"]))  # before anything is written
    own = {
        "model": _model_fingerprint(vae),
        "data": {name: fingerprint(value) for name, value in compared.items()},
        "examples": lengths["x"],
        "format": file_format,
        "shard_size": shard_size,
        "batch_size": batch_size,
        "scores": scores,
        "num_samples": num_samples,
        "seed": seed,
        "columns": {
            name: {"dtype": _kind(value), "shape": list(value.shape[1:])}
            for name, value in first.items()
        },
    }
    folder = ShardFolder(pathlib.Path(out).expanduser(), joined_facts(own, facts or {}))
    with folder.opened():
        _write_missing(folder, encoder)
    return folder


class _Encoder:
    """Computes the columns of any consecutive rows."""

    def __init__(
        self,
        vae: Any,
        rows: dict[str, Rows],
        labels: LabelColumn | None,
        texts: dict[str, Rows],
        batch_size: int,
        scores: bool,
        num_samples: int,
        seed: int,
    ) -> None:
        self._vae = vae
        self._rows = rows
        self._labels = labels
        self._texts = texts
        self._batch_size = batch_size
        samples = num_samples if scores else 0
        self._function = CompiledFunctions().get(
            functools.partial(_columns, vae, num_samples=samples)
        )
        self._key = tf.constant([seed, 0], tf.int32)

    def __call__(self, start: int, stop: int) -> dict[str, np.ndarray]:
        batches = []
        size = self._batch_size
        # Batches begin at multiples of their size wherever shards begin, because a
        # matrix product rounds a row differently in a batch of another size.
        for first in range(start // size * size, stop, size):
            batch = self._batch(first, min(first + size, len(self._rows["x"])))
            batches.append(
                {k: v[max(start - first, 0) : stop - first] for k, v in batch.items()}
            )
        columns = {"index": np.arange(start, stop)}
        columns |= {k: np.concatenate([b[k] for b in batches]) for k in batches[0]}
        if self._labels is not None:
            columns["label"] = self._labels[start:stop]
        for name, values in self._texts.items():
            if name in columns:
                raise UserError(
                    f"{name} is already a column; choose other names for texts."
                )
            columns[name] = _as_text(name, values[start:stop])
        return columns

    def _batch(self, first: int, last: int) -> dict[str, np.ndarray]:
        read = {name: rows[first:last] for name, rows in self._rows.items()}
        with user_errors(f"examples {first} to {last - 1}"):
            checked = self._vae.check_inputs(read).to_dict()
        tensors = {name: tf.convert_to_tensor(v) for name, v in checked.items()}
        result = self._function(tensors, tf.constant(first, tf.int32), self._key)
        return {name: value.numpy() for name, value in result.items()}


def _columns(
    vae: Any, batch: dict[str, Tensor], first: Tensor, key: Tensor, num_samples: int
) -> dict[str, Tensor]:
    inputs = Inputs(**batch)
    columns = dict(vae.posterior_params(inputs))
    mean = vae.posterior.mean(columns)
    if mean is not columns.get("loc"):
        columns["mean"] = mean
    if num_samples:
        columns |= endpoints.score(vae, inputs, key, num_samples, first)
    return {name: tf.cast(value, tf.float32) for name, value in columns.items()}


def _as_text(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind != "U":
        raise UserError(
            f"{name} must be one string per example; received shape {array.shape}, dtype "
            f"{array.dtype}."
        )
    return array


def _kind(values: np.ndarray) -> str:
    return "string" if values.dtype.kind == "U" else str(values.dtype)


def _length(name: str, value: Any) -> int:
    if isinstance(value, tf.data.Dataset):
        raise UserError(
            f"{name} is a tf.data.Dataset, whose rows can't be read by index; pass "
            "arrays, or write it to files with kvae.training.write_shards(folder, "
            f'{{"train": dataset.as_numpy_iterator()}}) for kvae encode --data folder.'
        )
    try:
        if hasattr(value, "__getitem__") and not isinstance(value, (dict, str)):
            return len(value)
    except TypeError:  # a single number
        pass
    raise UserError(
        f"{name} must be an array, or have a length and return an array for rows[a:b]; "
        f"received {type(value).__name__}."
    )


def _write_missing(folder: ShardFolder, encoder: _Encoder) -> None:
    missing, total = folder.missing(), folder.facts["examples"]
    wanted = sum(b - a for a, b in map(folder.rows, missing))
    if wanted < total:
        there = folder.num_shards - len(missing)
        _LOG.info("%s: %d of %d shards exist", folder.path, there, folder.num_shards)
    console = rich.console.Console(stderr=True, highlight=False)
    shown = console.is_terminal and _LOG.isEnabledFor(logging.INFO)
    done, began = 0, time.monotonic()
    bar = rich.progress.Progress(console=console, transient=True, disable=not shown)
    with bar:
        task = bar.add_task(f"{wanted} examples", total=wanted)
        for index in missing:
            start, stop = folder.rows(index)
            write_shard(folder.file(index), encoder(start, stop))
            done += stop - start
            bar.update(task, completed=done)
            if not shown:
                speed = done / max(time.monotonic() - began, 1e-9)
                words = "%s: %d of %d examples, %.0f per second"
                _LOG.info(words, folder.file(index).name, done, wanted, speed)


def _check_options(
    vae: Any, shard_size: int, batch_size: int, num_samples: int, seed: int
) -> None:
    counts = {
        "shard_size": shard_size,
        "batch_size": batch_size,
        "num_samples": num_samples,
    }
    for name, value in counts.items():
        if not isinstance(value, numbers.Integral) or value < 1:
            raise UserError(f"{name} must be a positive integer; received {value!r}.")
    if not isinstance(seed, numbers.Integral) or not 0 <= seed < 2**31:
        raise UserError(
            f"seed must be an integer from 0 to 2**31 - 1; received {seed!r}."
        )
    if not vae.built:
        raise UserError("the model has no weights yet; train it first.")
    if is_completing(vae):
        raise UserError(
            "this model completes hidden parts and has no q(z|x) of whole examples. "
            "Use kvae complete or vae.complete."
        )


def _model_fingerprint(vae: Any) -> str:
    """Computes a checksum of weights and configuration, on which the numbers depend."""
    digest = hashlib.sha256()
    for part in _PARTS:
        for value in getattr(vae, part).get_weights():
            value = np.ascontiguousarray(value)
            digest.update(f"{part} {value.dtype} {value.shape}".encode())
            digest.update(value.tobytes())
    config = vae.get_config()
    deciding = _nameless({part: config[part] for part in _DECIDING})
    digest.update(json.dumps(deciding, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]


def _nameless(config: Any) -> Any:
    """Omits names that Keras numbers in the order of creation."""
    if isinstance(config, dict):
        return {
            key: _nameless(value)
            for key, value in config.items()
            if key not in ("name", "shared_object_id")
        }
    if isinstance(config, (list, tuple)):
        return [_nameless(value) for value in config]
    return config
