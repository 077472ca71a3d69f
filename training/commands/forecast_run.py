"""The verb forecast: several futures of series, from their past."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from kvae.core.atomic import replacing
from kvae.core.command import command_name
from kvae.core.errors import UserError, is_damage, user_errors
from kvae.core.extras import require
from kvae.objectives import is_completing
from kvae.reports.series_section import fan_png
from kvae.series import Forecast
from kvae.tables import is_table, read_table, write_table
from kvae.training.commands.encode_run import scale_of_the_run
from kvae.training.commands.output_paths import TABLES, new_file
from kvae.training.data.sources.data_set import Raw
from kvae.training.run.run_directory import RunDirectory

_SHOWN = 4  # series in a picture
_QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}


def forecast(
    path: pathlib.Path,
    data: pathlib.Path,
    steps: int | None = None,
    num: int = 100,
    seed: int = 0,
    out: pathlib.Path | None = None,
) -> None:
    """Draws futures of series, given their past.

    Args:
        path: of the run.
        data: an .npy file of pasts, (N, P, F), or (P, F) for one; or a table of one
            series, with a column for each feature. NaN is missing.
        steps: how far to look ahead; the steps of the model's series less those of the
            past if None.
        num: futures of each series.
        seed: of the draws.
        out: a .png file with bands; .npy for the draws; or .csv, .tsv, or .parquet for
            means and quantiles. In the run if None.
    """
    directory = RunDirectory.open(path)
    default = directory.path / f"forecast-{data.stem}-seed-{seed}.png"
    out = new_file(out or default, ".png", ".npy", *TABLES)
    if out.suffix == ".png":
        require("matplotlib", "a picture of forecasts")
    vae = directory.load_model()
    _check_series(path, vae)
    past, names, divisor = _read(data, directory, vae)
    with user_errors(data.name):
        found = vae.forecast(past, steps, num, seed)
    draws = found.draws * divisor
    if out.suffix == ".npy":
        with replacing(out) as beside:
            np.save(beside, draws)
    elif out.suffix == ".png":
        with replacing(out) as beside:
            beside.write_bytes(_picture(past * divisor, draws, vae.data_shape[0]))
    else:
        scaled = Forecast(draws, found.effective_sample_size)
        write_table(_table(scaled, names), out)
    print(
        f"Saved {num} futures of {draws.shape[2]} steps of each of {len(draws)} series to "
        f"{out}"
    )


def _check_series(path: pathlib.Path, vae: Any) -> None:
    if vae.data_kind != "series" or vae.schema is not None:
        raise UserError(
            f"the model of {path} is not one of series; train one with "
            f"{command_name()} train forecast --data windows.npy, or with --set "
            "data_kind=series."
        )
    if vae.condition is not None and not is_completing(vae):
        raise UserError(
            f"the model of {path} is conditioned on {vae.condition}, which "
            f"{command_name()} forecast doesn't support. In Python: "
            'vae.forecast({"x": past, "condition": c}).'
        )


def _read(
    data: pathlib.Path, directory: RunDirectory, vae: Any
) -> tuple[np.ndarray, list[str], float]:
    """Reads pasts, scaled as in training, the names of features, and the divisor."""
    names = [str(f) for f in range(vae.data_shape[1] if vae.data_shape[1:] else 1)]
    if is_table(data):
        frame = read_table(data)
        try:
            past = frame.to_numpy("float64")
        except (TypeError, ValueError):
            raise UserError(
                f"{data} must hold numbers, a column for each feature of one series; "
                f"received the columns {', '.join(map(str, frame.columns))}."
            ) from None
        if past.shape[1] != len(names):
            raise UserError(
                f"the model of {directory.path} takes series of {len(names)} features; "
                f"{data} has the columns {', '.join(map(str, frame.columns))}."
            )
        names = [str(name) for name in frame.columns]
        past = past if len(vae.data_shape) == 2 else past[:, 0]
    else:
        if not data.is_file():
            raise UserError(f"there is no file {data}; check the path.")
        try:
            past = np.load(data, allow_pickle=False)
        except Exception as error:
            if not is_damage(error):
                raise
            raise UserError(f"{data} is not a readable .npy file: {error}") from error
        if not isinstance(past, np.ndarray) or past.dtype.kind not in "fiub":
            raise UserError(f"{data} must hold one array of numbers.")
    if past.ndim == len(vae.data_shape):  # one series
        past = past[None]
    known = scale_of_the_run(directory, directory.read_config())
    divisor = known.divisor_of(Raw(data.name, past), {"train": past})
    return past.astype("float32") / np.float32(divisor), names, divisor


def _picture(past: np.ndarray, draws: np.ndarray, length: int) -> bytes:
    """Draws the end of each past and the bands of its futures."""
    past, draws = past[:_SHOWN, -length:], draws[:_SHOWN]
    first, steps = past.shape[1], draws.shape[2]
    unknown = np.full((len(past), steps, *past.shape[2:]), np.nan)
    before = np.zeros((*draws.shape[:2], first, *draws.shape[3:]))
    return fan_png(
        np.concatenate([past, unknown], axis=1),
        np.concatenate([before, draws], axis=2),
        first,
    )


def _table(found: Forecast, names: list[str]) -> Any:
    """One row for each series, step, and feature: the mean, and quantiles."""
    mean = found.mean if found.mean.ndim == 3 else found.mean[..., None]
    count, steps, features = mean.shape
    columns: dict[str, Any] = {
        "series": np.repeat(np.arange(count), steps * features),
        "step": np.tile(np.repeat(np.arange(1, steps + 1), features), count),
        "feature": np.tile(np.array(names[:features]), count * steps),
        "mean": mean.ravel(),
    }
    quantiles = found.quantile(tuple(_QUANTILES.values()))
    columns |= {name: q.ravel() for name, q in zip(_QUANTILES, quantiles, strict=True)}
    return require("pandas", "a table of forecasts", "tables").DataFrame(columns)
