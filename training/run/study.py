"""A study: one recipe with every combination of some values, several seeds each."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import math
import pathlib
from typing import Any

import numpy as np

from kvae.core.errors import UserError
from kvae.evaluation.result import Estimate
from kvae.training.config.config import Config
from kvae.training.config.load_recipe import load_recipe
from kvae.training.run.study_runs import run_configs

_MOST = 10_000  # runs


@dataclasses.dataclass(frozen=True)
class Point:
    """One combination of values, measured over seeds.

    Attributes:
        values: by key, as they were typed.
        numbers: by name, (S,) one per seed, as `run_configs` returns them.
    """

    values: dict[str, str]
    numbers: dict[str, np.ndarray]

    def estimate(self, name: str) -> Estimate:
        """Mean over seeds with its standard error; NaN for one seed."""
        return Estimate.mean_of(self.numbers[name])


@dataclasses.dataclass(frozen=True)
class Study:
    """What is varied, and how each run is configured.

    Attributes:
        varied: values by key, as they were typed.
        seeds: of every combination.
        configs: by the name of the run, in the order of training.
    """

    varied: dict[str, list[str]]
    seeds: list[int]
    configs: dict[str, Config]

    @classmethod
    def of(
        cls,
        recipe: str | None,
        vary: list[str],
        seeds: int,
        changes: dict[str, Any] | None = None,
        settings: list[str] | None = None,
    ) -> Study:
        """Configures every run.

        Args:
            recipe: as of `load_recipe`.
            vary: "key=value,value", of different keys.
            seeds: how many, from that of the recipe on.
            changes: as of `load_recipe`.
            settings: as of `load_recipe`.

        Raises:
            UserError: for a wrong key or value, before anything is trained.
        """
        varied: dict[str, list[str]] = {}
        for text in vary:
            key, _, values = text.partition("=")
            listed = split_values(values)
            if not key.strip() or not values or "" in listed:
                raise UserError(
                    f"--vary takes KEY=VALUE,VALUE, such as latent_dim=2,4,8; received "
                    f"{text!r}."
                )
            if key.strip() in varied or len(set(listed)) < len(listed):
                raise UserError(f"--vary {text!r} repeats a key or a value.")
            if key.strip() == "seed":
                raise UserError("--seeds varies the seed; leave it out of --vary.")
            varied[key.strip()] = listed
        count = seeds * math.prod(len(values) for values in varied.values())
        if count > _MOST:
            raise UserError(f"a study has at most {_MOST} runs; this one has {count}.")
        texts = list(settings or [])
        if not any(_key(t) == "fit_prior" for t in [*texts, *varied]):
            texts = ["fit_prior=none", *texts]
        first = load_recipe(recipe, changes, texts).seed
        chosen = [first + i for i in range(seeds)]
        configs = {}
        for combination in itertools.product(*varied.values()):
            named = [f"{k}={v}" for k, v in zip(varied, combination, strict=True)]
            for seed in chosen:
                name = ",".join([*named, f"seed={seed}"]).replace("/", "-")
                given = [*texts, *named, f"seed={seed}"]
                configs[name] = load_recipe(recipe, changes, given)
        return cls(varied, chosen, configs)

    def points(self, measured: dict[str, dict[str, float]]) -> list[Point]:
        """Gathers the numbers of runs, by their names, into one point per combination."""
        found = []
        runs = iter(self.configs)
        for values in itertools.product(*self.varied.values()):
            rows = [measured[next(runs)] for _ in self.seeds]
            numbers = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            found.append(Point(dict(zip(self.varied, values, strict=True)), numbers))
        return found


def run_study(
    study: Study, out: pathlib.Path, workers: int | None = None
) -> dict[str, dict[str, float]]:
    """Trains what is missing, as `run_configs` does.

    Args:
        study: its runs.
        out: the folder of the study.
        workers: runs at once; None chooses.

    Returns:
        measured: by the name of the run.

    Raises:
        UserError: if a folder holds a run with another configuration, or a run fails.
    """
    return run_configs(study.configs, out, workers)


def split_values(text: str) -> list[str]:
    """Splits at the commas that are not within brackets or quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def numeric(values: list[str]) -> list[float] | None:
    """The values as numbers if all are, else None."""
    try:
        found = [float(value) for value in values]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def table_csv(points: list[Point], seeds: list[int]) -> str:
    """One row per run: the varied values, the seed, and what was measured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(points[0].numbers)
    writer.writerow([*points[0].values, "seed", *names])
    for point in points:
        for i, seed in enumerate(seeds):
            numbers = [repr(float(point.numbers[name][i])) for name in names]
            writer.writerow([*point.values.values(), seed, *numbers])
    return text.getvalue()


def _key(text: str) -> str:
    return text.partition("=")[0].partition(".")[0].strip()
