"""Draws the pictures of the presets in docs/gallery.md.

    .venv/bin/python docs/site/draw_gallery.py [PRESET ...]

Each preset is trained on the 8x8 digits of scikit-learn for 30 epochs, with 8 latents and
its other arguments as they are, but schedules that end by then, and draws 16 digits: from
its own prior, or for the autoencoder `rae`, which has none, from a mixture that is fitted
to its codes.
"""

import sys
import time
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import kvae
from kvae import presets

FOLDER = Path(__file__).parents[1] / "images/gallery"
SCHEDULES = {  # 30 epochs are 750 steps
    "annealed_vae": {"warmup_steps": 300},
    "cyclical_vae": {"total_steps": 600},
    "capacity_vae": {"warmup_steps": 300, "nats": 15.0},
}
NOT_DRAWN = {"dfc_vae"}  # needs a network of features
ZOOM = 4


def draw(name: str) -> np.ndarray:
    """Trains a preset and returns rows of pictures (R, 16, 8, 8)."""
    x = load_digits().images.astype("float32") / 16
    train, test = x[:1600], x[1600:1616]
    keras.utils.set_random_seed(0)
    data, arguments = train, {"latent_dim": 8, **SCHEDULES.get(name, {})}
    if name == "deep_vae":
        arguments = {}
    if name == "miwae_imputer":
        shown = kvae.masks.RandomEntries(0.5).draw(len(x), (64,)) == 1
        holes = np.where(shown, x.reshape(-1, 64), np.nan)
        train = holes[:1600]
        data = kvae.masks.nan_as_missing(train)
    vae = getattr(presets, name)(train, **arguments)
    vae.compile(keras.optimizers.Adam(2e-3))
    vae.fit(data, epochs=30, batch_size=64, verbose=0)
    if name == "miwae_imputer":
        rows = holes[1600:1616]
        filled = kvae.evaluation.impute(vae, rows, nan_as_missing=True).single
        return np.stack([rows, filled]).reshape(2, 16, 8, 8)
    if name == "completing_vae":
        half = test.copy()
        half[:, :, :4] = np.nan
        return np.stack([half, vae.complete(test, "left_half", num=1).x[:, 0]])
    if name == "rae":
        vae = kvae.fit_prior(vae, train, "mixture")
    return np.reshape(vae.sample(16, seed=0), (1, 16, 8, 8))


def main(names: list[str]) -> None:
    """Draws presets, all of them if none is named."""
    known = [n for n, v in vars(presets).items() if callable(v) and n not in NOT_DRAWN]
    FOLDER.mkdir(exist_ok=True)
    for name in names or known:
        start = time.process_time()
        picture = (255 * kvae.reports.image_grid(draw(name))).astype("uint8")
        image = Image.fromarray(picture.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1))
        image.quantize(32).save(FOLDER / f"{name}.png", optimize=True)
        print(
            f"{name}: {time.process_time() - start:.0f} processor seconds", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
