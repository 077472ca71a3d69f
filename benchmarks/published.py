"""The published tables of MNIST, obtained with kvae: nats, active units, and the runs.

    python benchmarks/published.py --data-dir DIR --out published
    python benchmarks/published.py --data-dir DIR --out published --only dynamic-one-1
    python benchmarks/published.py --out published --show

Networks and binarization are the papers'; schedule and batch size are ours. A row may
start from the weights of another, whose training it then need not repeat: more epochs from
fewer, several latents from one. log p(x) is the importance-weighted bound with 5000 latents
on all 10 000 test images, an error that of the mean over images. A latent is active if the
variance over test images of its posterior mean exceeds 0.01.

Both can be stopped and continue: training from its last checkpoint, measuring from its last
500 images. What is in --out is not done again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from published_rows import ROWS, Row, epochs_of

import kvae
from kvae import (
    evaluation,
    likelihoods,
    networks,
    objectives,
    posteriors,
    priors,
    schedules,
)
from kvae.training import Checkpoint, binarize_once, load_data, training_batches

SHAPE = (28, 28, 1)
LATENTS = 5000
BLOCK = 500  # test images measured between two savings


def build(row: Row, x: np.ndarray, steps: int) -> kvae.VAE:
    """Makes the model of a row."""
    keras.utils.set_random_seed(0)
    if row.network in ("normal", "vamp"):
        return _gated(row, x, steps)
    latent, units = (50, (200, 200)) if row.network == "one" else (100, (200, 200))
    parts: dict[str, Any] = {
        "encoder": _centered(networks.mlp(SHAPE, units, "tanh"), x),
        "posterior": posteriors.DiagonalNormal(latent),
        "prior": priors.StandardNormal(latent),
        "decoder": networks.mlp((latent,), units, "tanh", role="decoder"),
    }
    if row.network == "two":
        levels = (100, 50)
        parts["decoder"] = keras.Sequential(
            [
                keras.Input((sum(levels),), name="z"),
                networks.TakeFirst(levels[0]),
                parts["decoder"],
            ]
        )
        parts["posterior"] = posteriors.TopDown(levels, (100, 100), "tanh")
        parts["prior"] = priors.Hierarchical(levels, (100, 100), "tanh")
    parts["objective"] = _objective(row, steps // 10)
    model = kvae.VAE(**parts, likelihood=likelihoods.Bernoulli(SHAPE), seed=0)
    _start_from_mean(model, x)
    return model


def _objective(row: Row, warm_up: int) -> objectives.Objective:
    """Fewer latents stay unused if their KL comes in slowly, in so many steps."""
    if row.objective == "iwae":
        return objectives.IWAE(row.samples, row.gradient)
    beta = schedules.LinearWarmup(warm_up) if row.start is None else 1.0
    return objectives.ELBO(beta, row.samples, kl=row.kl)


def _centered(encoder: keras.Model, x: np.ndarray) -> keras.Model:
    """The same functions of x, from weights of which gradients move all alike."""
    mean = x.mean(axis=0)
    center = keras.layers.Normalization((1, 2, 3), mean, np.ones_like(mean))
    return keras.Sequential([keras.Input(SHAPE, name="x"), center, encoder])


def _start_from_mean(model: kvae.VAE, x: np.ndarray) -> None:
    """Lets the first logits be those of each pixel's mean."""
    mean = np.clip(x.mean(axis=0), 1e-3, 1 - 1e-3).ravel()
    (bias,) = [w for w in model.likelihood.weights if w.shape == mean.shape]
    bias.assign(np.log(mean / (1 - mean)))


def _gated(row: Row, x: np.ndarray, steps: int) -> kvae.VAE:
    """The networks of the VampPrior's paper, with gelu in place of gates."""
    latent = 40
    prior = priors.StandardNormal(latent)
    if row.network == "vamp":
        prior = priors.VampPrior(latent, SHAPE, 500)
    model = kvae.VAE(
        _centered(networks.mlp(SHAPE, (300, 300), "gelu"), x),
        networks.mlp((latent,), (300, 300), "gelu", role="decoder"),
        posteriors.DiagonalNormal(latent),
        likelihoods.Bernoulli(SHAPE),
        prior=prior,
        objective=_objective(row, steps // 4),
        seed=0,
    )
    _start_from_mean(model, x)
    if row.network == "vamp":
        prior.adapt(x)
    return model


def load(data: str, data_dir: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Training pixels, probabilities where they are drawn again, and binary test pixels."""
    if data == "static":
        loaded = load_data("binarized_mnist", data_dir)
        return np.concatenate([loaded.train, loaded.validation]), loaded.test
    loaded = load_data("mnist", data_dir)
    return loaded.train, binarize_once(loaded.test)


def train(name: str, folder: pathlib.Path, x: np.ndarray) -> kvae.VAE:
    """Trains a row, from its last checkpoint if there is one, and keeps the weights."""
    row, file = ROWS[name], folder / name / "model.weights.h5"
    steps = math.ceil(len(x) / row.batch)
    vae = build(row, x, steps * row.epochs)
    if file.exists():
        vae.load_weights(file)
        return vae
    if row.start is not None:
        source = train(row.start, folder, x)
        for part in ("encoder", "decoder", "posterior", "prior", "likelihood"):
            getattr(vae, part).set_weights(getattr(source, part).get_weights())
    rate = keras.optimizers.schedules.CosineDecay(row.rate, steps * row.epochs)
    # Adam takes the papers' thousands of epochs. It still trains vectors and pixels.
    optimizer = keras.optimizers.Muon(
        rate,
        ns_steps=3,
        weight_decay=row.decay,
        adam_weight_decay=None,
        exclude_layers=["logits", "pseudo"],
    )
    vae.compile(optimizer, jit_compile=True, steps_per_execution=steps // 10)

    def batches_from(first: int) -> tf.data.Dataset:
        drawn = row.data == "dynamic"
        seed = row.samples  # other pixels and another order than those of fewer latents
        return training_batches(x, row.batch, seed, binarize=drawn, first_batch=first)

    began = time.process_time()
    history = vae.fit(
        batches_from(0),
        epochs=row.epochs,
        steps_per_epoch=steps,
        callbacks=[Checkpoint(folder / name, "2 minutes", batches_from=batches_from)],
        shuffle=False,
        verbose=2,
    )
    print(name, f"{time.process_time() - began:.0f} s of processor time", flush=True)
    if len(history.history["elbo"]) < row.epochs:
        raise SystemExit(f"{name} was stopped; run the same command to resume.")
    vae.save_weights(file)
    return vae


def measure(name: str, folder: pathlib.Path, vae: kvae.VAE, test: np.ndarray) -> dict:
    """Measures a row, from the last block of images that is there."""
    file = folder / name / "values.npy"
    values = np.load(file) if file.exists() else np.zeros(0)
    while len(values) < len(test):
        first = len(values)
        positions = np.arange(first, min(first + BLOCK, len(test)))
        found = evaluation.log_likelihood(
            vae, test[positions], LATENTS, positions=positions
        )
        values = np.concatenate([values, found.per_example])
        np.save(file, values)
        print(name, len(values), f"{-values.mean():.3f}", flush=True)
    usage = evaluation.latent_usage(vae, test)
    return {
        "epochs": epochs_of(ROWS[name]),
        "nll": -float(values.mean()),
        "standard_error": float(values.std(ddof=1) / math.sqrt(len(values))),
        "elbo": float(vae.elbo(test).mean()),
        "active_units": int(usage.active_units),
    }


def show(folder: pathlib.Path) -> None:
    """Prints the table of what is there."""
    print("| row | epochs | -log p(x) | published | active units | ELBO |")
    print("|---|---|---|---|---|---|")
    for name, row in ROWS.items():
        file = folder / name / "result.json"
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8"))
            published = "" if math.isnan(row.published) else f"{row.published:.2f}"
            print(
                f"| {name} | {found['epochs']} | {found['nll']:.2f} ± "
                f"{found['standard_error']:.2f} | {published} | "
                f"{found['active_units']} | {found['elbo']:.2f} |"
            )


def main() -> None:
    """Does what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="of TensorFlow Datasets")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--only", nargs="+", choices=ROWS, help="rows")
    parser.add_argument("--show", action="store_true", help="the table alone")
    parser.add_argument("--train-only", action="store_true", help="measure later")
    options = parser.parse_args()
    for name in [] if options.show else options.only or ROWS:
        x, test = load(ROWS[name].data, options.data_dir)
        vae = train(name, options.out, x)
        file = options.out / name / "result.json"
        if not options.train_only and not file.exists():
            found = measure(name, options.out, vae, test)
            file.write_text(json.dumps(found) + "\n", encoding="utf-8")
    show(options.out)


if __name__ == "__main__":
    main()
