"""MIWAE against scikit-learn's imputers on a real table, half of it missing.

    python benchmarks/imputation.py --table breast_cancer --seeds 5

Half of the entries are hidden at random. Every method sees the same incomplete table and
fills it in; the score is the root mean square error over the hidden entries, in units of
each column's standard deviation. Columns are standardised by the moments of the observed
entries.
"""

from __future__ import annotations

import argparse
import time

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
    parser.add_argument("--epochs", type=int, default=600)
    parser.add_argument("--latent-dim", type=int, default=10)
    parser.add_argument("--num-samples", type=int, default=5000)
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
            began = time.monotonic()
            filled = impute(holes)
            error = np.sqrt(np.mean(np.square(filled - x)[~mask]))
            scores.setdefault(name, []).append(float(error))
            took = time.monotonic() - began
            print(f"  seed {seed}  {name:24} {error:.4f}  {took:6.1f} s", flush=True)
    print(f"\n{'method':24}   mean     std  over {arguments.seeds} seeds")
    for name, values in scores.items():
        print(f"{name:24} {np.mean(values):.4f}  {np.std(values, ddof=1):.4f}")


def make_holes(
    complete: np.ndarray, missing: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardises by what is observed: the table, the mask, the table with NaN."""
    family = kvae.masks.RandomEntries(missing)
    mask = family.draw(len(complete), complete.shape[1:], seed).numpy() == 1
    holes = np.where(mask, complete, np.nan)
    loc, scale = np.nanmean(holes, axis=0), np.nanstd(holes, axis=0)
    return (complete - loc) / scale, mask, (holes - loc) / scale


def methods(arguments: argparse.Namespace, seed: int) -> dict:
    """The imputers by name: each takes the table with NaN and returns it filled."""

    def miwae(holes: np.ndarray) -> np.ndarray:
        keras.utils.set_random_seed(seed)
        vae = kvae.presets.miwae_imputer(holes, arguments.latent_dim, seed=seed)
        steps = arguments.epochs * -(-len(holes) // 64)
        rate = keras.optimizers.schedules.CosineDecay(1e-3, steps, alpha=0.01)
        vae.compile(keras.optimizers.Adam(rate), steps_per_execution=9)
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
