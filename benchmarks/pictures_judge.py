"""How close reconstructions of held-out pictures are to the pictures.

    python benchmarks/pictures_judge.py emoji64.npz kvae=vae.keras kl=kl.npy --out DIR

Each NAME=FILE is a model of kvae, or an array of reconstructions of x_test in [0, 1]. It
prints PSNR, kernel distance, and Frechet distance, the last two in the features of a
network that was trained on x_train without labels, and writes DIR/reconstructions.png:
held-out pictures over the reconstructions of each.
"""

from __future__ import annotations

import argparse
import math
import pathlib

import keras
import numpy as np

from kvae.evaluation import extract_features, frechet_distance
from kvae.networks import feature_distance
from kvae.reports.pictures import image_grid, picture_png

COLUMNS = 10
RESAMPLES = 200


class Judge:
    """Compares reconstructions with pictures, in pixels and in features of its own.

    Args:
        train: (N, H, W, 3) pictures that the network of the features learns from.
        test: (M, H, W, 3) held-out pictures.
    """

    def __init__(self, train: np.ndarray, test: np.ndarray) -> None:
        self.test = test
        # Seed 0 may have trained the features of an objective.
        self.network = feature_distance(train, seed=1).embedding()
        self.real = extract_features(self.network, test)

    def line(self, name: str, seen: np.ndarray) -> str:
        """The three numbers of reconstructions, for people."""
        mean, error = psnr(seen, self.test)
        features = extract_features(self.network, seen)
        kernel, spread = kernel_distance(features, self.real)
        frechet = frechet_distance(features, self.real)
        return (
            f"{name}: PSNR {mean:.2f} ± {error:.2f} dB, kernel distance {kernel:.4g} ± "
            f"{spread:.2g}, Frechet distance {frechet:.4g}"
        )


def psnr(seen: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """The mean over pictures of 10 log10(1 / MSE) in dB, and its standard error."""
    each = -10 * np.log10(np.square(np.clip(seen, 0, 1) - x).mean(axis=(1, 2, 3)))
    return float(each.mean()), float(each.std() / math.sqrt(len(each)))


def kernel_distance(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The squared maximum mean discrepancy of pairs, with a cubic kernel, and its error.

    Row i of a and row i of b belong to the same picture, so that pair is left out.
    """
    rng = np.random.default_rng(0)
    half = len(a) // 2
    halves = [rng.permutation(len(a))[:half] for _ in range(RESAMPLES)]
    # The spread over random halves is that of the whole: (1 - 1/2) / (n / 2) = 1 / n.
    spread = np.std([_discrepancy(a[rows], b[rows]) for rows in halves])
    return _discrepancy(a, b), float(spread)


def _discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    def mean(u: np.ndarray, v: np.ndarray) -> float:
        kernel = (u @ v.T / u.shape[1] + 1) ** 3
        return float((kernel.sum() - np.trace(kernel)) / (len(u) * (len(u) - 1)))

    return mean(a, a) + mean(b, b) - 2 * mean(a, b)


def draw(rows: list[np.ndarray], path: pathlib.Path) -> None:
    """Writes a few columns of each of these arrays, one row each."""
    few = slice(None, None, max(1, len(rows[0]) // COLUMNS))
    picture = image_grid(np.stack([row[few][:COLUMNS] for row in rows]))
    path.write_bytes(picture_png(picture, 1400))


def read(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """The training and the test pictures of a file, in [0, 1]."""
    with np.load(path) as arrays:
        train, test = (
            arrays[f"x_{part}"] / np.float32(255) for part in ("train", "test")
        )
    return train, test


def main() -> None:
    """Measures, and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("models", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    train, test = read(arguments.data)
    judge, rows = Judge(train, test), [test]
    for model in arguments.models:
        name, file = model.split("=", 1)
        if file.endswith(".npy"):
            seen = np.load(file)
        else:
            seen = np.clip(keras.models.load_model(file).reconstruct(test), 0, 1)
        print(judge.line(name, seen), flush=True)
        rows.append(seen)
    draw(rows, arguments.out / "reconstructions.png")


if __name__ == "__main__":
    main()
