"""The verb detect: a table, pictures, and a page about unusual examples."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import pathlib
from typing import Any

import numpy as np

from kvae import detection, reports
from kvae.core.atomic import check_new, staged, write_json, write_text
from kvae.core.errors import UserError, user_errors
from kvae.core.extras import require
from kvae.core.inputs import Inputs
from kvae.detection import Detected, Detector, DriftResult
from kvae.detection.folder import is_detector, same_weights
from kvae.objectives import is_completing
from kvae.reports.heat_maps import heat_map_rows, heat_maps, top_entries
from kvae.reports.pictures import as_images, image_grid, picture_png, value_range
from kvae.tables import read_table
from kvae.tables.schema import is_frame
from kvae.training.commands.encode_run import (
    inputs_of,
    open_examples,
    scale_of_the_run,
    with_labels_of_the_run,
)
from kvae.training.commands.output_paths import changed_data
from kvae.training.config.config import Config
from kvae.training.data.pixel_scale import PixelScale
from kvae.training.data.sources import DataSet, ExamplesOnDisk
from kvae.training.encoding.encoding_source import EncodingSource
from kvae.training.run.runner import Run, open_run

_WORST = 10
_LEAST_DRIFT = 10


@dataclasses.dataclass(frozen=True)
class _Reading:
    """How the examples of a model are read; the folder of a detector keeps it.

    Attributes:
        binarize: as the key of recipes.
        resize: as the key of recipes.
        scale: of pixels in training.
        label_names: one per label value; empty if they have none.
    """

    binarize: str = "none"
    resize: str = "crop"
    scale: PixelScale = PixelScale()
    label_names: tuple[str, ...] = ()

    @classmethod
    def of_run(cls, run: Run) -> _Reading:
        """Returns how the examples of a run were read in training."""
        return cls(
            run.config.binarize,
            run.config.resize,
            scale_of_the_run(run.directory, run.config),
            tuple(run.directory.label_names()),
        )

    @classmethod
    def of_detector(cls, path: pathlib.Path) -> _Reading:
        """Reads what `write` wrote; the defaults, if Python saved the detector."""
        file = path / "data.json"
        if not file.is_file():
            return cls()
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            scale, names = fields.pop("scale"), fields.pop("label_names")
            scale = PixelScale(**{**scale, "pixel_range": tuple(scale["pixel_range"])})
            return cls(**fields, scale=scale, label_names=tuple(names))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{file} is damaged: {error}") from error

    def write(self, path: pathlib.Path) -> None:
        """Writes it to the folder of a detector."""
        write_json(path / "data.json", dataclasses.asdict(self))

    def config(self) -> Config:
        """Returns a configuration that reads examples in this way."""
        return Config(binarize=self.binarize, resize=self.resize)


@dataclasses.dataclass(frozen=True)
class _Subject:
    """What decides about the examples.

    Attributes:
        name: of the run, or of the saved detector.
        detector: calibrated if it was saved.
        reading: how its examples are read.
        run: None for a saved detector alone.
        held: normal examples that training did not see; None if there are none.
    """

    name: str
    detector: Detector
    reading: _Reading
    run: Run | None = None
    held: Any = None


def detect(
    path: pathlib.Path,
    data: str | None = None,
    out: pathlib.Path | None = None,
    alpha: float = 0.01,
    score: str = "auto",
    data_dir: str | None = None,
    skip_unreadable: bool = False,
    detector: pathlib.Path | None = None,
) -> None:
    """Finds unusual examples, and writes a table, the ten worst, and a page.

    Args:
        path: of the run, or of a saved detector.
        data: a source, as for `train`; the test part of the run's own if None.
        out: the folder to create; RUN/anomalies if None.
        alpha: the share of normal examples that may raise a false alarm.
        score: a name of `kvae.detection.SCORES`, or "auto".
        data_dir: where TFDS keeps the run's data now; None if it has not moved.
        skip_unreadable: skip damaged images in a folder.
        detector: a saved detector of the run that decides; None calibrates a new one.
    """
    require("matplotlib", "a page of anomalies")
    if is_detector(path) or detector is not None:
        _check_saved(path, data, out, score, detector)
    if is_detector(path):
        subject = _of_detector(path, alpha)
    else:
        run = open_run(path, changed_data(data_dir))
        out = out or run.directory.path / "anomalies"
        subject = _of_run(run, detector, alpha, score, data is None)
    assert out is not None  # `_check_saved` asked for it
    out = check_new(out)
    vae = subject.detector.vae
    source = open_examples(
        vae,
        subject.reading.config() if subject.run is None else subject.run.config,
        subject.reading.scale,
        data,
        data_dir,
        "test" if data is None else None,
        skip_unreadable,
        hide_unseen=True,
        loaded=None if subject.run is None else subject.run.data,
    )
    if vae.condition is not None:
        names = list(subject.reading.label_names)
        source = with_labels_of_the_run(source, names)
    with user_errors():
        x = _in_memory(inputs_of(vae, source))
        # A table as it is in its file, because numbers don't tell an unseen level.
        rows = x if vae.schema is None or data is None else read_table(data)
        if not subject.detector.num_calibration:
            assert subject.run is not None
            subject.detector.calibrate(subject.held, _training(subject.run))
        found = subject.detector.detect(rows, alpha)
        drift = None
        enough = subject.held is not None and len(found.score) >= _LEAST_DRIFT
        if enough and len(Inputs.of(subject.held).x) >= _LEAST_DRIFT:
            drift = detection.drift(vae, subject.held, x)
    with staged(out) as stage:
        _write(stage, subject, source, rows, found, drift)
    _tell(found, drift, source, out)


def _check_saved(
    path: pathlib.Path,
    data: str | None,
    out: pathlib.Path | None,
    score: str,
    detector: pathlib.Path | None,
) -> None:
    """Raises if the arguments do not suit a saved detector."""
    if is_detector(path) and detector is not None:
        raise UserError(f"{path} is a saved detector itself; leave out --detector.")
    if score != "auto":
        raise UserError("a saved detector has its own score; leave out --score.")
    if data is None:
        raise UserError(
            "a saved detector may have been calibrated with the examples of its run; say "
            "which others to examine with --data."
        )
    if out is None and is_detector(path):
        raise UserError("say where to write the results of a detector, with --out.")


def _of_detector(path: pathlib.Path, alpha: float) -> _Subject:
    subject = _Subject(path.name, Detector.load(path), _Reading.of_detector(path))
    _tell_calibration(subject.detector, alpha)
    return subject


def _of_run(
    run: Run,
    saved: pathlib.Path | None,
    alpha: float,
    score: str,
    test_is_new: bool,
) -> _Subject:
    name, vae, reading = run.directory.path.name, run.vae, _Reading.of_run(run)
    if is_completing(vae):
        raise UserError(
            f"the model of {run.directory.path} completes examples and does not score "
            "whole ones; train one without complete."
        )
    if saved is not None:
        loaded = Detector.load(saved)
        if not same_weights(loaded.vae, vae):
            raise UserError(
                f"the detector in {saved} is one of another model than that of "
                f"{run.directory.path}. To use it with its own model, pass it in place of "
                "the run."
            )
        _tell_calibration(loaded, alpha)
        part = "test" if len(run.data.validation) < _LEAST_DRIFT else "validation"
        held = run.data.inputs(part, run.config.condition)
        return _Subject(name, loaded, reading, run, held)
    part, held = _held_out(run.data, run.config.condition, alpha, test_is_new)
    print(
        f"Calibration: the {len(Inputs.of(held).x)} {part} examples of {run.data.name}, "
        "which training did not see"
    )
    with user_errors():
        return _Subject(name, Detector(vae, score), reading, run, held)


def _tell_calibration(detector: Detector, alpha: float) -> None:
    with user_errors():
        detection.conformal.check_alpha(alpha, detector.num_calibration)
    label = detector.score_function.label
    print(
        f"Calibration: that of the saved detector, {detector.num_calibration} examples; "
        f"score {label}"
    )


def _held_out(
    data: DataSet, condition: str | None, alpha: float, test_is_new: bool
) -> tuple[str, Any]:
    """Chooses the part to calibrate with: validation if it is large enough, else test."""
    alpha = detection.conformal.check_alpha(alpha)
    least = detection.fewest_examples(alpha)
    parts = ["validation"] if test_is_new else ["validation", "test"]
    for part in parts:
        if len(getattr(data, part)) >= least:
            return part, data.inputs(part, condition)
    sizes = ", ".join(f"{len(getattr(data, part))} {part}" for part in parts)
    raise UserError(
        f"alpha={alpha:g} needs at least {least} calibration examples; {data.name} has "
        f"{sizes}. Choose a larger --alpha, or train with more held-out examples, such as "
        f"--set validation={least}."
    )


def _training(run: Run) -> Any:
    """The training examples, some of them if they stay on disk."""
    given = run.data.inputs("train", run.config.condition)
    x = run.data.train
    if not isinstance(x, ExamplesOnDisk):
        return given
    rows = x.sample_rows()
    return {name: value[rows] for name, value in Inputs.of(given).to_dict().items()}


def _in_memory(rows: Any) -> Any:
    if isinstance(rows, dict):
        return {name: np.asarray(value[: len(value)]) for name, value in rows.items()}
    return np.asarray(rows[: len(rows)])


def _write(
    stage: pathlib.Path,
    subject: _Subject,
    source: EncodingSource,
    x: Any,
    found: Detected,
    drift: DriftResult | None,
) -> None:
    detector = subject.detector
    files = None if source.files is None else source.files[: len(found.score)]
    table = _table(detector, source, x, found)
    _write_csv(stage / "anomalies.csv", table)
    if importlib.util.find_spec("pyarrow") is not None:
        arrow = require("pyarrow", "Parquet", "parquet")
        parquet = require("pyarrow.parquet", "Parquet", "parquet")
        parquet.write_table(arrow.table(table), stage / "anomalies.parquet")
    picture = _worst_picture(detector, x, found)
    if picture is not None:
        (stage / "worst.png").write_bytes(picture)
    write_json(
        stage / "found.json",
        {
            **found.to_dict(),
            "source": source.name,
            "drift": None if drift is None else drift.to_dict(),
        },
    )
    page = reports.anomaly_report(
        detector,
        x,
        found,
        drift=drift,
        names=files,
        metadata={"data": source.name, "model": subject.name},
        title=f"Unusual examples of {source.name}",
    )
    write_text(stage / "report.html", page)
    detector.save(stage / "detector")
    subject.reading.write(stage / "detector")


def _table(
    detector: Detector, source: EncodingSource, x: Any, found: Detected
) -> dict[str, Any]:
    """One row per example, the columns by name; where, for anomalies and the worst."""
    count = len(found.score)
    shown = found.is_anomaly.copy()
    shown[found.worst(_WORST)] = True
    rows = np.flatnonzero(shown)
    where = np.full(count, "", object)
    if len(rows):
        nats = detector.attribute(_chosen(x, rows))
        columns = getattr(detector.vae.likelihood, "columns", None)
        names = None if columns is None else [column["name"] for column in columns]
        where[rows] = top_entries(nats, detector.vae.data_shape, names)
    table: dict[str, Any] = {"index": np.arange(count)}
    if source.files is not None:
        table["file"] = [str(name) for name in source.files[:count]]
    if source.labels is not None:
        table["label"] = np.asarray(source.labels[:count])
    return {
        **table,
        "score": found.score,
        "p_value": found.p_value,
        "is_anomaly": found.is_anomaly,
        "where": where.tolist(),
    }


def _chosen(x: Any, rows: np.ndarray) -> Any:
    """Some rows of a data frame, of an array, or of a dict of arrays."""
    if is_frame(x):
        return x.iloc[rows]
    given = Inputs.of(x).to_dict()
    return Inputs(**{k: np.asarray(v)[rows] for k, v in given.items()}).to_keras()


def _write_csv(path: pathlib.Path, table: dict[str, Any]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))


def _worst_picture(detector: Detector, x: Any, found: Detected) -> bytes | None:
    rows = found.worst(_WORST)
    if is_frame(x):
        return None
    some = _chosen(x, rows)
    vae = detector.vae
    shown = as_images(vae, np.asarray(Inputs.of(some).x, "float32"))
    if shown is None or len(vae.data_shape) < 2:
        return None
    rebuilt = as_images(vae, np.asarray(vae.reconstruct(some)))
    attribution = as_images(vae, detector.attribute(some))
    assert rebuilt is not None
    assert attribution is not None
    maps, _ = heat_maps(shown, attribution)
    grid = heat_map_rows(shown, rebuilt, maps, value_range(shown))
    return picture_png(image_grid(grid))


def _tell(
    found: Detected,
    drift: DriftResult | None,
    source: EncodingSource,
    out: pathlib.Path,
) -> None:
    expected = found.alpha * found.num_examples
    print(
        f"{found.num_anomalies} of {found.num_examples} examples of {source.name} are "
        f"unusual at alpha={found.alpha:g}; {expected:.1f} would be expected if all "
        "were normal"
    )
    if drift is not None:
        print(f"Drift: {drift.verdict}")
    print(f"Saved to {out}. Look at {out / 'report.html'}")
