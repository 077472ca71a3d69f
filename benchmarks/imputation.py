"""MIWAE against scikit-learn's imputers on a real table, half of it missing.

    python benchmarks/imputation.py --table breast_cancer --seeds 5 --out imputation.json

Half of the entries are hidden at random. Every method sees the same incomplete table and
fills it in; the score is the root mean square error over the hidden entries, in units of
each column's standard deviation. Columns are standardized by the moments of the observed
entries. The networks are those of the MIWAE paper: three hidden layers of 128 units with
tanh, ten latents, K = 20 in training. Each seed draws other holes; differences to MIWAE are
paired by seed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import sklearn.datasets
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

import kvae
import kvae.evaluation

TABLES = ("breast_cancer", "wine", "diabetes", "iris")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", choices=TABLES, default="breast_cancer")
    parser.add_argument("--missing", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=250)
    parser.add_argument("--latent-dim", type=int, default=10)
    parser.add_argument("--units", type=int, nargs="+", default=[128, 128, 128])
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--num-samples", type=int, default=3000, help="L, imputing")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    complete = getattr(sklearn.datasets, f"load_{arguments.table}")().data
    print(
        f"{arguments.table}: {complete.shape[0]} rows, {complete.shape[1]} columns, "
        f"{arguments.missing:.0%} missing at random; RMSE of the missing entries"
    )
    scores: dict[str, list[float]] = {}
    for seed in range(arguments.seeds):
        x, mask, holes = make_holes(complete, arguments.missing, seed)
        for name, impute in methods(arguments, seed).items():
            began = time.process_time()
            filled = impute(holes)
            error = np.sqrt(np.mean(np.square(filled - x)[~mask]))
            scores.setdefault(name, []).append(float(error))
            took = time.process_time() - began
            print(
                f"  seed {seed}  {name:24} {error:.4f}  {took:6.1f} cpu s", flush=True
            )
    if arguments.out is not None:
        setting = {k: v for k, v in vars(arguments).items() if k != "out"}
        found = {"setting": setting, "rmse": scores}
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(
        f"\n{'method':24}   mean     std  MIWAE less this, over {arguments.seeds} seeds"
    )
    for name, values in scores.items():
        gap = np.subtract(scores["MIWAE"], values)
        error = gap.std(ddof=1) / math.sqrt(len(gap))
        print(
            f"{name:24} {np.mean(values):.4f}  {np.std(values, ddof=1):.4f}  "
            f"{gap.mean():+.4f} ± {error:.4f}"
        )


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

    iterative = IterativeImputer(random_state=seed, max_iter=20)
    return {
        "SimpleImputer (mean)": SimpleImputer().fit_transform,
        "KNNImputer (5)": KNNImputer(n_neighbors=5).fit_transform,
        "IterativeImputer": iterative.fit_transform,
        "MIWAE": miwae,
    }


if __name__ == "__main__":
    main()
