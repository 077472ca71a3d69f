"""Whether a synthetic table is useful, and whether it is private."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kvae.core.checks import check_seed
from kvae.core.extras import require
from kvae.evaluation.compare_tables import compare_tables
from kvae.evaluation.result import Result
from kvae.tables import Schema
from kvae.tables.schema import as_frame

_ROWS = 5000  # of each table whose nearest neighbors are found, at most
_FOREST_ROWS = 20_000  # that a forest is trained on, at most
_ADVANTAGE = 0.55  # membership AUC above which the verdict warns


@dataclasses.dataclass(frozen=True)
class TableQuality(Result):
    """What a synthetic table is worth, and what it gives away about its training rows.

    Attributes:
        target: the column that classifiers predict.
        score_name: "AUC" (of several classes, the mean of one against the rest), or "R2".
        trained_on_real: score on the held-out rows of a model trained on real rows.
        trained_on_synthetic: the same for a model trained on synthetic rows.
        membership_auc: how well the distance to the closest synthetic row tells training
            rows from held-out ones: 0.5 is a guess, 1 gives every row away.
        closest_record: median distance from a synthetic row to its closest training row.
        closest_record_of_held_out: the same from a held-out row; a table that copies is
            far below it.
        copies: share of synthetic rows that are equal to a training row.
        copies_of_held_out: share of held-out rows that are.
        mean_distance: of the columns, from `compare_tables` with the held-out rows.
        mean_pair_difference: of pairs of columns, likewise.
        num_train: real rows that the model was trained on.
        num_test: real rows that were held out.
        num_synthetic: synthetic rows.
        warning: in words, or "".
    """

    target: str
    score_name: str
    trained_on_real: float
    trained_on_synthetic: float
    membership_auc: float
    closest_record: float
    closest_record_of_held_out: float
    copies: float
    copies_of_held_out: float
    mean_distance: float
    mean_pair_difference: float
    num_train: int
    num_test: int
    num_synthetic: int
    warning: str


def table_quality(
    train: Any, test: Any, synthetic: Any, target: Any = None, seed: int = 0
) -> TableQuality:
    """Measures how useful and how private a synthetic table is.

    Usefulness: a random forest learns to predict `target` from synthetic rows, and one
    from real rows; both are tested on held-out real rows. Privacy: an attacker who holds
    the synthetic table guesses that the rows closest to it were in the training data.
    Distances are Euclidean, between normal scores of numbers and one-hot levels.

    Args:
        train: a data frame, the rows that the model was trained on.
        test: rows of the same table that it has not seen.
        synthetic: rows that it drew.
        target: the column to predict; the last one with levels if None, or else the
            last one.
        seed: of the forests, and of the rows that are left out of large tables.

    Returns:
        quality: prints as a table.

    Raises:
        ImportError: if scikit-learn is not installed.
        ValueError: if the tables differ in their columns, or the target can't be
            predicted.

    Source: train on synthetic, test on real: Esteban, Hyland, Raetsch 2017,
        arXiv:1706.02633. Attack: Chen, Yu, Zhang, Fritz 2020, "GAN-Leaks",
        arXiv:1909.03935.
    """
    metrics = require("sklearn.metrics", "table_quality", "tables")
    check_seed(seed)
    train, test, synthetic = frames = [as_frame(t) for t in (train, test, synthetic)]
    schema = Schema.of(train)
    features = [_features(schema, frame) for frame in frames]
    random = np.random.default_rng(seed)
    few = [x[np.sort(random.permutation(len(x))[:_ROWS])] for x in features]
    num = min(len(few[0]), len(few[1]))
    distances = np.concatenate([_nearest(x[:num], few[2]) for x in few[:2]])
    member = np.repeat([1, 0], num)
    auc = float(metrics.roc_auc_score(member, -distances))
    own, held_out = (_nearest(x, features[0]) for x in (few[2], few[1]))
    name = _target(schema) if target is None else target
    scores = [_score(schema, name, frame, test, seed) for frame in (train, synthetic)]
    compared = compare_tables(test, synthetic, schema)
    return TableQuality(
        target=str(name),
        score_name=scores[0][0],
        trained_on_real=scores[0][1],
        trained_on_synthetic=scores[1][1],
        membership_auc=auc,
        closest_record=float(np.median(own)),
        closest_record_of_held_out=float(np.median(held_out)),
        copies=float(np.mean(own < 1e-6)),
        copies_of_held_out=float(np.mean(held_out < 1e-6)),
        mean_distance=compared.mean_distance,
        mean_pair_difference=compared.mean_pair_difference,
        num_train=len(train),
        num_test=len(test),
        num_synthetic=len(synthetic),
        warning=_warning(auc),
    )


def _warning(auc: float) -> str:
    if auc <= _ADVANTAGE:
        return ""
    return (
        f"training rows can be told from others with an AUC of {auc:.2f}. Train for "
        "fewer epochs, or with fewer latents, before you give this table away."
    )


def _features(schema: Schema, frame: Any) -> np.ndarray:
    """Returns normal scores and one-hot levels: (N, features), 0 where hidden."""
    numbers = schema.encode(frame)
    parts = []
    for entry, values in zip(schema.entries(), numbers.T, strict=True):
        levels = {"binary": 2, "categorical": entry.get("levels", 0)}.get(entry["kind"])
        if levels is None:
            values = np.log1p(values) if entry["kind"] == "count" else values
            parts.append(np.nan_to_num(values)[:, None])
        else:  # two rows with different levels are at a distance of 1
            parts.append((values[:, None] == np.arange(levels)) * np.sqrt(0.5))
    return np.concatenate(parts, axis=1).astype("float32")


def _nearest(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    neighbors = require("sklearn.neighbors", "table_quality", "tables")
    found = neighbors.NearestNeighbors(n_neighbors=1).fit(others)
    return np.asarray(found.kneighbors(x)[0][:, 0])


def _target(schema: Schema) -> Any:
    usable = [c for c in schema.columns if c.entries()]
    levels = [c.name for c in usable if c.levels and c.kind != "constant"]
    return (levels or [c.name for c in usable])[-1]


def _score(
    schema: Schema, target: Any, train: Any, test: Any, seed: int
) -> tuple[str, float]:
    """Trains a forest on one table and tests it on another: the score and its name."""
    ensemble = require("sklearn.ensemble", "table_quality", "tables")
    metrics = require("sklearn.metrics", "table_quality", "tables")
    columns = {column.name: column for column in schema.columns}
    named = isinstance(target, (str, int)) and target in columns
    if not named or not columns[target].entries():
        raise ValueError(
            f"target must be a column that can be predicted; received {target!r}. The "
            f"columns are {', '.join(map(str, columns))}."
        )
    others = Schema([c for c in schema.columns if c.name != target])
    column = columns[target]
    train = train.sample(min(len(train), _FOREST_ROWS), random_state=seed)
    options = {"min_samples_leaf": 3, "max_features": 0.3, "random_state": seed}
    rows = [frame[frame[target].notna()] for frame in (train, test)]
    x, x_test = (_features(others, frame.drop(columns=target)) for frame in rows)
    if column.kind in ("number", "count", "date"):
        y, y_test = (column.numbers(frame[target]) for frame in rows)
        forest = ensemble.RandomForestRegressor(**options).fit(x, y)
        return "R2", float(metrics.r2_score(y_test, forest.predict(x_test)))
    nothing = [np.zeros(len(frame), bool) for frame in rows]
    y, y_test = (
        column.level_numbers(frame[target], absent).astype(int)
        for frame, absent in zip(rows, nothing, strict=True)
    )
    if len(np.unique(y)) < 2:
        return "AUC", 0.5  # of a table with one class, nothing can be learned
    forest = ensemble.RandomForestClassifier(**options).fit(x, y)
    share = np.zeros((len(y_test), len(column.levels)))
    share[:, forest.classes_] = forest.predict_proba(x_test)
    aucs = [
        metrics.roc_auc_score(y_test == level, share[:, level])
        for level in np.unique(y_test)
        if 0 < np.mean(y_test == level) < 1
    ]
    return "AUC", float(np.mean(aucs))
