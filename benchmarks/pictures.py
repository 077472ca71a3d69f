"""How sharp the default model of pictures becomes in some minutes of processor time.

    python benchmarks/pictures.py emoji64.npz --minutes 15 --out emoji64

The .npz file holds x_train and x_test, uint8 color pictures. The model is what
`VAE.for_data` chooses. The learning rate falls to 0 along a half cosine of the time. It
prints the PSNR of held-out pictures and writes DIR/vae.keras and DIR/reconstructions.png,
a row of held-out pictures over a row of their reconstructions. With --prior-epochs 176, it
then fits the default prior for so many passes, which takes 68 minutes more, writes
DIR/samples.png, and DIR/nearest.png with each sample over the training picture that is
nearest to it in pixels, and prints how near they are.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import time
from typing import Any

import keras
import numpy as np
from pictures_judge import COLUMNS, draw, psnr, read
from sklearn.neighbors import NearestNeighbors

import kvae

LEARNING_RATE = 2e-3
WARMUP = 100  # steps


class Budget(keras.callbacks.Callback):
    """Ends training after some processor time, along a schedule of that time."""

    def __init__(self, minutes: float) -> None:
        super().__init__()
        self.seconds = 60 * minutes

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        self.start = time.process_time()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the learning rate."""
        spent = min(1.0, (time.process_time() - self.start) / self.seconds)
        warm = min(1.0, (int(self.model.optimizer.iterations) + 1) / WARMUP)
        rate = LEARNING_RATE * warm * 0.5 * (1 + math.cos(math.pi * spent))
        self.model.optimizer.learning_rate = rate
        if spent >= 1:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Prints a line."""
        minutes = (time.process_time() - self.start) / 60
        print(
            f"epoch {epoch + 1}, {minutes:.1f} min, ELBO {logs['elbo']:.1f}", flush=True
        )


def main() -> None:
    """Trains, measures, and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=15, help="of processor time")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--prior-epochs", type=int, help="fit a prior, and draw")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    train, test = read(arguments.data)
    keras.utils.set_random_seed(0)
    vae = kvae.VAE.for_data(train)
    vae.compile(keras.optimizers.Adam(LEARNING_RATE, clipnorm=1.0))
    budget = Budget(arguments.minutes)
    vae.fit(train, epochs=10**6, batch_size=64, verbose=0, callbacks=[budget])
    seen = np.clip(vae.reconstruct(test), 0, 1)
    mean, error = psnr(seen, test)
    print(f"{vae.count_params()} weights, latents {vae.latent_shape}")
    print(f"PSNR of {len(test)} held-out pictures: {mean:.2f} ± {error:.2f} dB")
    vae.save(arguments.out / "vae.keras")
    draw([test, seen], arguments.out / "reconstructions.png")
    if arguments.prior_epochs:
        start = time.process_time()
        fitted = kvae.fit_prior(vae, train, epochs=arguments.prior_epochs, verbose=2)
        print(f"prior: {(time.process_time() - start) / 60:.1f} min")
        fitted.save(arguments.out / "fitted.keras")
        show_samples(fitted, train, test, arguments.out)


def show_samples(
    vae: kvae.VAE, train: np.ndarray, test: np.ndarray, out: pathlib.Path
) -> None:
    """Draws samples, and the training pictures that are nearest to them."""
    samples = np.clip(vae.sample(4 * COLUMNS, seed=0), 0, 1)
    search = NearestNeighbors(n_neighbors=1, algorithm="brute")
    search.fit(train.reshape(len(train), -1))
    far, rows = search.kneighbors(samples.reshape(len(samples), -1))
    others, _ = search.kneighbors(test.reshape(len(test), -1))
    pixels = math.sqrt(train[0].size)
    print(
        f"median RMS difference to the nearest training picture: samples "
        f"{np.median(far) / pixels:.3f}, held-out pictures {np.median(others) / pixels:.3f}"
    )
    drawn = list(samples.reshape(4, -1, *train.shape[1:]))
    nearest = list(train[rows[:, 0]].reshape(4, -1, *train.shape[1:]))
    draw(drawn, out / "samples.png")
    pairs = [row for pair in zip(drawn, nearest, strict=True) for row in pair]
    draw(pairs, out / "nearest.png")


if __name__ == "__main__":
    main()
