"""What a discriminator and a feature distance are worth on pictures, and what they cost.

    python benchmarks/sharpness.py emoji64.npz emoji64/vae.keras --minutes 10 --out sharp

The model is one that benchmarks/pictures.py trained. It is trained further twice, for the
same processor time: with the ELBO alone, and with a feature distance and a discriminator of
patches added. It prints what benchmarks/pictures_judge.py measures, and writes the models
and DIR/reconstructions.png: held-out pictures, then the reconstructions of both models.
"""

from __future__ import annotations

import argparse
import math
import pathlib
from typing import Any

import keras
import numpy as np
from pictures import Budget
from pictures_judge import Judge, draw, read

from kvae.networks import feature_distance
from kvae.objectives import ELBO, Adversarial, Perceptual


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
    train, test = read(arguments.data)
    start = keras.models.load_model(arguments.model)
    judge, rows = Judge(train, test), [test]
    weight = float(math.prod(start.data_shape))
    objectives = {
        "elbo": ELBO(),
        "sharp": Adversarial(
            Perceptual(ELBO(), feature_distance(train), weight=weight), weight=0.5
        ),
    }
    for name, objective in objectives.items():
        vae = continued(start, objective, train, arguments.minutes)
        vae.save(arguments.out / f"{name}.keras")
        seen = np.clip(vae.reconstruct(test), 0, 1)
        steps = int(vae.optimizer.iterations)
        print(judge.line(f"{name}, {steps} steps", seen), flush=True)
        rows.append(seen)
    draw(rows, arguments.out / "reconstructions.png")


if __name__ == "__main__":
    main()
