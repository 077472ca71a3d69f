"""The result of every data source."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np

from kvae.core.errors import UserError
from kvae.tables import Schema
from kvae.training.data.fingerprint import fingerprint
from kvae.training.data.sources.hold_out import HOLD_OUT_SEED, validation_rows

_LOG = logging.getLogger("kvae")


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A named data set, split, ready for a model.

    Attributes:
        name: for messages.
        train: (N, *shape) training examples, an array or `ExamplesOnDisk`.
        test: (M, *shape) test examples, which training never sees.
        validation: (V, *shape) examples to watch during training; V may be 0.
        train_labels: (N,) integers, or None.
        test_labels: (M,) integers, or None.
        validation_labels: (V,) integers, or None.
        label_names: one per label value, or None.
        pixel_range: smallest and largest value a pixel can take.
        notes: what was done to the data, in sentences.
        dtype: of the numbers in the source.
        divisor: the number that they were divided by.
        files: names of the files by part (train, test, validation), if each example has
            its own.
        schema: of a table, whose numbers are NaN where an entry is hidden; else None.
    """

    name: str
    train: Any
    test: np.ndarray
    validation: np.ndarray
    train_labels: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    validation_labels: np.ndarray | None = None
    label_names: tuple[str, ...] | None = None
    pixel_range: tuple[float, float] = (0.0, 1.0)
    notes: tuple[str, ...] = ()
    dtype: str = "float32"
    divisor: float = 1.0
    files: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    schema: Schema | None = None

    @property
    def has_hidden_entries(self) -> bool:
        """Whether training examples hold NaN for entries that don't count."""
        return self.schema is not None and bool(np.isnan(self.train).any())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.train.shape[1:]

    def inputs(self, part: str, condition: str | None = None) -> Any:
        """Returns one part in the form that a model takes.

        Args:
            part: "train", "test" or "validation".
            condition: "label" for a model that is conditioned on labels, or None.

        Returns:
            inputs: x, or a dict of "x" and "condition".

        Raises:
            UserError: if there are no labels.
        """
        x = getattr(self, part)
        if condition is None:
            return x
        labels = getattr(self, f"{part}_labels")
        if labels is None:
            raise UserError(
                f"{self.name} has no labels for its {part} examples, so a model cannot "
                "be conditioned on them; name the labels train_labels and test_labels "
                "in an .npz file, or leave out --condition."
            )
        if labels.shape != (len(x),) or labels.dtype.kind not in "iub":
            raise UserError(
                f"labels must be one integer per example; {self.name} has {part} labels "
                f"of shape {labels.shape}, dtype {labels.dtype}."
            )
        return {"x": x, "condition": labels.astype("int32")}

    def describe(self) -> dict[str, object]:
        """Returns the facts for the run's record."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "pixel_range": list(self.pixel_range),
            "notes": list(self.notes),
            "dtype": self.dtype,
            "divisor": self.divisor,
            "label_names": None if self.label_names is None else list(self.label_names),
            "checksums": {
                name.replace("_", " "): fingerprint(value)
                for part in ("train", "validation", "test")
                for name in (part, f"{part}_labels")
                if (value := getattr(self, name)) is not None and len(value)
            },
        }


@dataclasses.dataclass(frozen=True)
class Raw:
    """The contents of a source, before scaling and splitting.

    Attributes:
        name: for messages.
        train: (N, *shape).
        test: (M, *shape), or None if the source has no test set.
        validation: (V, *shape), or None if the source has no validation set.
        labels: of train, test and validation by name, if there are any.
        label_names: one per label value, or None.
        pixel_max: the maximum of integer pixels; None takes it from their dtype.
        files: names of the files by part, if each example has its own.
        notes: what the source did to the data, in sentences.
        schema: of a table, or None.
    """

    name: str
    train: np.ndarray
    test: np.ndarray | None = None
    validation: np.ndarray | None = None
    labels: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    label_names: tuple[str, ...] | None = None
    pixel_max: float | None = None
    files: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    schema: Schema | None = None


def prepare(raw: Raw, validation: float, pixel_max: float | None = None) -> DataSet:
    """Holds out missing parts, scales integers to [0, 1], and logs both.

    Args:
        raw: from a source.
        validation: how many training examples to hold out, or a share if below 1; not
            used if the source has its own validation set.
        pixel_max: overrides `raw.pixel_max`; 1 leaves integers as they are.

    Returns:
        data: ready for a model.

    Raises:
        UserError: if the data are empty, not numbers, or too few to split.
    """
    notes = list(raw.notes)
    arrays = {"train": raw.train, "test": raw.test, "validation": raw.validation}
    for name, array in arrays.items():
        if array is not None:
            check_numbers(raw.name, name, array)
    labels, files = dict(raw.labels), dict(raw.files)
    if arrays["test"] is None:
        rows = test_rows(len(raw.train), notes)
        _hold_out("test", rows, arrays, labels, files)
    if arrays["validation"] is None:
        train = arrays["train"]
        assert train is not None
        rows = validation_rows(len(train), validation, labels.get("train"), notes)
        _hold_out("validation", rows, arrays, labels, files)
    scaled, divisor, pixel_range = scale(raw, arrays, pixel_max, notes)
    for note in notes:
        _LOG.info("%s: %s", raw.name, note)
    return DataSet(
        name=raw.name,
        **scaled,
        train_labels=labels.get("train"),
        test_labels=labels.get("test"),
        validation_labels=labels.get("validation"),
        label_names=raw.label_names,
        pixel_range=pixel_range,
        notes=tuple(notes),
        dtype=str(raw.train.dtype),
        divisor=divisor,
        files=files,
        schema=raw.schema,
    )


def check_numbers(source: str, name: str, array: np.ndarray) -> None:
    """Raises unless a part of a source holds examples that are numbers."""
    if array.dtype.kind not in "fiub" or array.ndim < 2:
        raise UserError(
            f"{source} must hold numbers, (N, D) vectors or (N, H, W) or (N, H, W, C) "
            f"images; received {name} of dtype {array.dtype}, shape {array.shape}."
        )
    if len(array) == 0:
        raise UserError(
            f"{source} holds no {name} examples. Check the file or the filter it came "
            "from."
        )


def test_rows(count: int, notes: list[str]) -> np.ndarray:
    """Draws a fifth of the rows as the test set, the same for each number of rows.

    Args:
        count: N.
        notes: gets another sentence.

    Returns:
        rows: sorted.

    Raises:
        UserError: for fewer than 5 rows.
    """
    if count < 5:
        raise UserError(
            f"{count} examples are too few to hold out a test set. Use at least 5, or "
            "a file with a test set (an .npz with train and test)."
        )
    held = max(1, count // 5)
    notes.append(
        f"a random fifth, the same in every run, is the test set: {held} examples."
    )
    return np.sort(np.random.default_rng(HOLD_OUT_SEED).permutation(count)[:held])


def _hold_out(part: str, rows: np.ndarray, *of_parts: dict[str, Any]) -> None:
    """Moves rows from the training part to another part, in each array."""
    for arrays in of_parts:
        train = arrays.get("train")
        if train is not None:
            arrays[part] = train[rows]
        if train is not None and len(rows):
            arrays["train"] = np.delete(train, rows, 0)


def scale(
    raw: Raw,
    arrays: dict[str, np.ndarray | None],
    pixel_max: float | None,
    notes: list[str],
) -> tuple[dict[str, np.ndarray], float, tuple[float, float]]:
    """Casts to float32, and divides integers by the maximum of a pixel.

    Args:
        raw: from a source.
        arrays: its parts.
        pixel_max: overrides `raw.pixel_max`.
        notes: gets another sentence if numbers were divided.

    Returns:
        scaled: the parts.
        divisor: 1 if nothing was divided.
        pixel_range: smallest and largest value a pixel can take.

    Raises:
        UserError: if integers don't have the range of pixels.
    """
    present = [a for a in arrays.values() if a is not None and a.size]
    # fmin and fmax skip NaN, and warn of nothing if there is nothing else.
    low = float(min(np.fmin.reduce(a, axis=None) for a in present))
    high = float(max(np.fmax.reduce(a, axis=None) for a in present))
    reach = raw.pixel_max if pixel_max is None else pixel_max
    integer = raw.train.dtype.kind in "iu"
    if reach is None and integer and (low < 0 or high > 1):
        reach = _reach(raw, low, high)
    divisor = np.float32(1.0 if reach is None else reach)
    scaled = {
        name: np.asarray(array, "float32") / divisor
        if divisor != 1
        else np.asarray(array, "float32")
        for name, array in arrays.items()
        if array is not None
    }
    if divisor != 1:
        kind = f"{raw.train.dtype} " if integer else ""
        notes.append(f"{kind}pixels were divided by {divisor:g}, to be in [0, 1].")
    low, high = low / float(divisor), high / float(divisor)
    pixel_range = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    return scaled, float(divisor), pixel_range


def _reach(raw: Raw, low: float, high: float) -> float:
    """Finds the largest value of the bit depth of a camera or scanner: 8, 10, 12, ..."""
    for bits in (8, 10, 12, 14, 16):
        reach = 2**bits - 1
        if low >= 0 and high <= reach and (bits == 8 or raw.train.dtype.itemsize > 1):
            return float(reach)
    raise UserError(
        f"{raw.name} holds integers from {low:g} to {high:g}, which is not a range of "
        "pixels. Scale them yourself and save floats, or state the maximum of a pixel "
        "(--set pixel_max=1 keeps them as they are)."
    )
