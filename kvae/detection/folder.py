"""The folder of a saved detector."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import keras
import numpy as np

from kvae.core.atomic import staged, write_json
from kvae.core.errors import UserError, is_damage
from kvae.detection.scores import Score, make_score

_FORMAT = 1


def is_detector(path: Any) -> bool:
    """Returns whether a folder is a detector that was saved."""
    return (pathlib.Path(path) / "detector.json").is_file()


def same_weights(one: Any, other: Any) -> bool:
    """Returns whether two models have equal weights."""
    a, b = one.get_weights(), other.get_weights()
    return len(a) == len(b) and all(
        np.array_equal(x, y) for x, y in zip(a, b, strict=True)
    )


def write_detector(
    path: Any,
    vae: Any,
    score: Score,
    arrays: dict[str, np.ndarray],
    facts: dict[str, Any],
) -> None:
    """Writes the folder of a detector, all or nothing.

    Args:
        path: of the folder; must not exist.
        vae: the model.
        score: fitted.
        arrays: of the calibration, by name.
        facts: further values for its JSON file.
    """
    with staged(pathlib.Path(path)) as stage:
        vae.save(stage / "model.keras")
        for name, model in score.models().items():
            model.save(stage / f"{name}.keras")
        fitted = {f"fitted_{name}": value for name, value in score.fitted.items()}
        np.savez(stage / "detector.npz", allow_pickle=False, **arrays, **fitted)
        about = {"score": score.name, "arguments": score.get_config(), **facts}
        write_json(stage / "detector.json", {"format": _FORMAT, **about})


def read_detector(
    path: Any, score: Score | None
) -> tuple[Any, Score, dict[str, np.ndarray], dict[str, Any]]:
    """Reads what `write_detector` wrote.

    Args:
        path: of the folder.
        score: a new instance, if the score is not one of kvae's.

    Returns:
        vae: the model.
        score: fitted.
        arrays: of the calibration.
        facts: of the JSON file.

    Raises:
        UserError: if it isn't the folder of a detector, or is damaged.
    """
    path = pathlib.Path(path)
    if not is_detector(path):
        raise UserError(f"{path} is not a detector that was saved with Detector.save.")
    try:
        facts = json.loads((path / "detector.json").read_text(encoding="utf-8"))
        facts.setdefault("attribution", "posterior")  # older folders don't say
        vae = keras.saving.load_model(path / "model.keras")
        models = {
            file.stem: keras.saving.load_model(file)
            for file in sorted(path.glob("*.keras"))
            if file.stem != "model"
        }
        with np.load(path / "detector.npz") as file:
            arrays = {name: file[name] for name in file.files}
        if score is None:
            score = make_score(facts["score"], **facts["arguments"], **models)
    except Exception as error:
        if not is_damage(error):
            raise
        raise UserError(f"the detector in {path} is damaged: {error}") from error
    score.fitted = {
        name.removeprefix("fitted_"): value
        for name, value in arrays.items()
        if name.startswith("fitted_")
    }
    return vae, score, arrays, facts
