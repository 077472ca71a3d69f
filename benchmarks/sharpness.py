"""What a discriminator and a feature distance are worth on pictures, and what they cost.

    python benchmarks/sharpness.py emoji64.npz emoji64/vae.keras --minutes 10 --out sharp

The model is one that benchmarks/pictures.py trained. It is trained further twice, for the
same processor time: with the ELBO alone, and with a feature distance and a discriminator of
patches added. It prints the PSNR of held-out pictures and their kernel and Frechet distance
to their reconstructions, in the features of a network that neither training used, and
writes DIR/reconstructions.png: held-out pictures, then the reconstructions of both models.
"""

from __future__ import annotations

import argparse
import math
import pathlib
from typing import Any

import keras
import numpy as np
from pictures import COLUMNS, Budget, psnr

from kvae.evaluation import extract_features, frechet_distance
from kvae.networks import feature_distance
from kvae.objectives import ELBO, Adversarial, Perceptual
from kvae.reports.pictures import image_grid, picture_png

RESAMPLES = 200


def paired_kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared maximum mean discrepancy, without the pairs of a picture and itself."""

    def apart(u: np.ndarray, v: np.ndarray) -> float:
        kernel = (u @ v.T / u.shape[1] + 1) ** 3
        return (kernel.sum() - np.trace(kernel)) / (len(u) * (len(u) - 1))

    return float(apart(a, a) + apart(b, b) - 2 * apart(a, b))


def kernel_and_error(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The distance, and its standard error from halves of the pictures."""
    rng = np.random.default_rng(0)
    half = len(a) // 2
    halves = [rng.permutation(len(a))[:half] for _ in range(RESAMPLES)]
    # The spread over random halves is that of the whole: (1 - 1/2) / (n/2) = 1/n.
    spread = np.std([paired_kernel_distance(a[rows], b[rows]) for rows in halves])
    return paired_kernel_distance(a, b), float(spread)


def continued(start: Any, objective: Any, train: np.ndarray, minutes: float) -> Any:
    """Trains a copy of a model with another objective."""
    vae = start.with_prior(start.prior, objective)
    objective.adapt(train)
    vae.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0))
    keras.utils.set_random_seed(0)
    vae.fit(train, epochs=10**6, batch_size=64, verbose=0, callbacks=[Budget(minutes)])
    return vae


def main() -> None:
    """Trains, measures, and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=10, help="of processor time")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    with np.load(arguments.data) as arrays:
        train, test = (
            arrays[f"x_{part}"] / np.float32(255) for part in ("train", "test")
        )
    start = keras.models.load_model(arguments.model)
    judge = feature_distance(train, seed=1).embedding()
    real = extract_features(judge, test)
    weight = float(math.prod(start.data_shape))
    objectives = {
        "elbo": ELBO(),
        "sharp": Adversarial(
            Perceptual(ELBO(), feature_distance(train), weight=weight), weight=0.5
        ),
    }
    few = test[:: len(test) // COLUMNS][:COLUMNS]
    rows = [few]
    for name, objective in objectives.items():
        vae = continued(start, objective, train, arguments.minutes)
        vae.save(arguments.out / f"{name}.keras")
        seen = extract_features(judge, np.clip(vae.reconstruct(test), 0, 1))
        kernel, error = kernel_and_error(seen, real)
        decibels, spread = psnr(vae, test)
        print(
            f"{name}: {int(vae.optimizer.iterations)} steps, PSNR {decibels:.2f} ± "
            f"{spread:.2f} dB, kernel distance {kernel:.4g} ± {error:.2g}, Frechet "
            f"distance {frechet_distance(seen, real):.4g}",
            flush=True,
        )
        rows.append(np.clip(vae.reconstruct(few), 0, 1))
    picture = image_grid(np.stack(rows))
    (arguments.out / "reconstructions.png").write_bytes(picture_png(picture, 1400))


if __name__ == "__main__":
    main()
