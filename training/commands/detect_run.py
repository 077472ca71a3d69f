"""The verb detect: a table, pictures, and a page about unusual examples."""

from __future__ import annotations

import csv
import importlib.util
import pathlib
from typing import Any

import numpy as np

from kvae import detection, reports
from kvae.core.atomic import check_new, staged, write_json, write_text
from kvae.core.errors import UserError, user_errors
from kvae.core.extras import require
from kvae.core.inputs import Inputs
from kvae.detection import Detected, Detector, DriftResult
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
from kvae.training.data.sources import DataSet, ExamplesOnDisk
from kvae.training.encoding.encoding_source import EncodingSource
from kvae.training.run.runner import Run, open_run

_WORST = 10
_LEAST_DRIFT = 10


def detect(
    path: pathlib.Path,
    data: str | None = None,
    out: pathlib.Path | None = None,
    alpha: float = 0.01,
    score: str = "auto",
    data_dir: str | None = None,
    skip_unreadable: bool = False,
) -> None:
    """Finds unusual examples, and writes a table, the ten worst, and a page.

    Args:
        path: of the run.
        data: a source, as for `train`; the test part of the run's own if None.
        out: the folder to create; RUN/anomalies if None.
        alpha: the share of normal examples that may raise a false alarm.
        score: a name of `kvae.detection.SCORES`, or "auto".
        data_dir: where TFDS keeps the run's data now; None if it has not moved.
        skip_unreadable: skip damaged images in a folder.
    """
    require("matplotlib", "a page of anomalies")
    run = open_run(path, changed_data(data_dir))
    out = check_new(out or run.directory.path / "anomalies")
    vae = run.vae
    if is_completing(vae):
        raise UserError(
            f"the model of {path} completes examples and does not score whole ones; "
            "train one without complete."
        )
    part, held = _held_out(run.data, run.config.condition, alpha, data is None)
    print(
        f"Calibration: the {len(Inputs.of(held).x)} {part} examples of {run.data.name}, "
        "which training did not see"
    )
    source = open_examples(
        vae,
        run.config,
        scale_of_the_run(run.directory, run.config),
        data,
        data_dir,
        "test" if data is None else None,
        skip_unreadable,
        hide_unseen=True,
    )
    if vae.condition is not None:
        source = with_labels_of_the_run(source, run.directory.label_names())
    with user_errors():
        x = _in_memory(inputs_of(vae, source))
        # A table as it is in its file, because numbers don't tell an unseen level.
        rows = x if vae.schema is None or data is None else read_table(data)
        detector = Detector(vae, score).calibrate(held, _training(run))
        found = detector.detect(rows, alpha)
        drift = None
        if len(found.score) >= _LEAST_DRIFT:
            drift = detection.drift(vae, held, x)
    with staged(out) as stage:
        _write(stage, run, detector, source, rows, found, drift)
    _tell(found, drift, source, out)


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
    run: Run,
    detector: Detector,
    source: EncodingSource,
    x: Any,
    found: Detected,
    drift: DriftResult | None,
) -> None:
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
        metadata={"data": source.name, "run": run.directory.path.name},
        title=f"Unusual examples of {source.name}",
    )
    write_text(stage / "report.html", page)
    detector.save(stage / "detector")


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
