"""Measures one model of the family, and keeps what the page shows of it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time
from typing import Any

import keras
import numpy as np

from kvae import evaluation
from kvae.core.atomic import replacing, write_json
from kvae.core.extras import require
from kvae.evaluation.mmd import squared_distances
from kvae.family.base import Member

NUM_LABELS = 10
"""Labels per class that a model of few labels is given."""
_SHOWN, _FEW = 64, 10
_NEIGHBORS = 5


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures of pixels 0 and 1 with labels, and the space that samples are compared in.

    Attributes:
        name: of the data.
        train: (N, H, W, 1).
        train_labels: (N,).
        test: (M, H, W, 1), at most 2000.
        test_labels: (M,).
        features: a classifier's last hidden layer.
        test_features: (M, F) of the test pictures.
    """

    name: str
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    features: keras.Model
    test_features: np.ndarray

    @classmethod
    def of(cls, data: Any, seed: int = 0) -> Pictures:
        """Rounds the pixels of a `DataSet` to 0 and 1, and trains the classifier."""
        train, test = (
            (np.asarray(part) > 0.5).astype("float32")
            for part in (data.train, data.test[:2000])
        )
        labels = np.asarray(data.train_labels)
        features = evaluation.feature_classifier(train, labels, seed=seed)
        return cls(
            data.name,
            train,
            labels,
            test,
            np.asarray(data.test_labels)[:2000],
            features,
            evaluation.extract_features(features, test),
        )

    def few_labels(self) -> np.ndarray:
        """The training labels, all but the first 10 of each class replaced by -1."""
        kept = np.full(len(self.train_labels), -1)
        for label in np.unique(self.train_labels):
            rows = np.flatnonzero(self.train_labels == label)[:NUM_LABELS]
            kept[rows] = label
        return kept

    def distances(self, samples: np.ndarray) -> tuple[float, Any]:
        """Frechet and kernel distance of pictures, rounded, to the test pictures."""
        rounded = (samples > 0.5).astype("float32")
        found = evaluation.extract_features(self.features, rounded)
        return (
            evaluation.frechet_distance(self.test_features, found),
            evaluation.kernel_distance(self.test_features, found),
        )

    def neighbor_accuracy(self, train_codes: Any, test_codes: Any) -> float:
        """Share of test pictures whose 5 nearest codes of training pictures agree."""
        neighbors = require("sklearn.neighbors", "the accuracy of codes")
        rule = neighbors.KNeighborsClassifier(_NEIGHBORS)
        flat = [
            np.reshape(codes, (len(codes), -1)) for codes in (train_codes, test_codes)
        ]
        return float(
            rule.fit(flat[0], self.train_labels).score(flat[1], self.test_labels)
        )


def measure(model: Member, pictures: Pictures, folder: pathlib.Path) -> dict[str, Any]:
    """Trains a model, measures it, and writes result.json and arrays.npz.

    Args:
        model: not trained.
        pictures: the data.
        folder: to write to; exists.

    Returns:
        result: the content of result.json.
    """
    start, cpu = time.perf_counter(), time.process_time()
    labels = pictures.few_labels() if model.labels == "few" else pictures.train_labels
    model.fit(pictures.train, labels)
    seconds = time.process_time() - cpu  # of all cores; others may share them
    arrays: dict[str, np.ndarray] = {}
    result = {
        "title": model.title,
        "models": model.models,
        "cost": model.cost,
        "source": model.source,
        "missing": model.missing,
        "training_graph": model.training_graph().chains,
        "use_graph": model.use_graph().chains,
        "num_weights": model.num_weights,
        "training_seconds": seconds,
        **_samples(model, pictures, arrays),
        **_codes(model, pictures, arrays),
        **_likelihood(model, pictures),
    }
    if hasattr(model, "predict"):
        wrong = model.predict(pictures.test) != pictures.test_labels
        result["test_error"] = float(wrong.mean())
    result["seconds"] = time.perf_counter() - start
    with replacing(folder / "arrays.npz") as beside:
        np.savez_compressed(beside, **arrays)  # type: ignore[arg-type]
    write_json(folder / "result.json", result)  # last: it says that all is there
    return result


def read_result(folder: pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads what `measure` wrote: numbers and words, and arrays by name."""
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz") as file:
        return result, dict(file)


def _samples(
    model: Member, pictures: Pictures, arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
    samples = model.sample(len(pictures.test), seed=1)
    if samples is None:
        return {}
    arrays["samples"] = samples[:_SHOWN]
    rounded = (samples[:_FEW] > 0.5).astype("float32").reshape(_FEW, -1)
    flat = pictures.train.reshape(len(pictures.train), -1)
    squares = squared_distances(rounded.astype("float64"), flat.astype("float64"))
    arrays["nearest"] = pictures.train[squares.argmin(1)]
    frechet, kernel = pictures.distances(samples)
    return {
        "frechet": frechet,
        "kernel": kernel.to_dict(),
        "nearest_pixels": float(squares.min(1).mean()),
    }


def _codes(
    model: Member, pictures: Pictures, arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
    codes = model.encode(pictures.test)
    if codes is None:
        return {}
    rebuilt = model.reconstruct(pictures.test)
    found: dict[str, Any] = {"code_size": codes.shape[1]}
    if rebuilt is not None:
        arrays["reconstructions"] = rebuilt[:_FEW]
        found["squared_error"] = float(np.square(rebuilt - pictures.test).mean())
    decomposition = require("sklearn.decomposition", "a map of codes")
    plane = decomposition.PCA(2).fit(codes)
    arrays["map"] = plane.transform(codes)
    found["map_explained"] = float(plane.explained_variance_ratio_.sum())
    train_codes = model.encode(pictures.train[:10_000])
    few = dataclasses.replace(pictures, train_labels=pictures.train_labels[:10_000])
    found["neighbor_accuracy"] = few.neighbor_accuracy(train_codes, codes)
    return found


def _likelihood(model: Member, pictures: Pictures) -> dict[str, Any]:
    found = model.log_likelihood(pictures.test, pictures.test_labels)
    if found is None:
        return {}
    return {
        "log_likelihood": {
            "value": found.value,
            "error": found.error,
            "method": found.method,
            "method_error": found.method_error,
            "density": found.density,
        }
    }
