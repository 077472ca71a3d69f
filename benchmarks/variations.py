"""Does each variation do on MNIST what its paper says, at an equal budget?

    python benchmarks/variations.py --data-dir DIR --out variations.json

Trains one model per line of the tables below: the same networks, batches, epochs and
learning rates, pixels of MNIST drawn again each epoch, and measures the importance-weighted
bound on test examples. Differences are to the first line of each table and come with
their paired standard error, because every model is measured on the same examples. What is
in --out already is not trained again.

Priors, posteriors and deep latents meet a baseline that, like them, has its KL weight
raised from 0 to 1 over the first quarter of the run: early in training a sampled KL to a
prior that has learned nothing closes latents, and deep ones do not come back. The
importance-weighted bound is trained as published, without, and so is its baseline.
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
from kvae.training import binarize_once, load_data, training_batches

LATENT = 40
LEVELS = (LATENT, 20)
UNITS = (300, 300)
SHAPE = (28, 28, 1)


def mlp_vae(**parts: Any) -> kvae.VAE:
    """Makes the common model, but for the parts that are given."""
    common = {
        "encoder": networks.mlp(SHAPE, UNITS, "gelu"),
        "decoder": networks.mlp((LATENT,), UNITS, "gelu", role="decoder"),
        "posterior": posteriors.DiagonalNormal(LATENT),
        "likelihood": likelihoods.Bernoulli(SHAPE),
        "prior": priors.StandardNormal(LATENT),
    }
    return kvae.VAE(**{**common, **parts}, seed=0)


def warm_elbo(steps: int) -> objectives.ELBO:
    """The bound, its rate sampled as all priors and posteriors allow, after a warm-up."""
    return objectives.ELBO(schedules.LinearWarmup(steps // 4), kl="sampled")


def vamp(x: np.ndarray, steps: int) -> kvae.VAE:
    """VampPrior with the paper's 500 pseudo-examples, started at real ones."""
    prior = priors.VampPrior(LATENT, SHAPE, 500)
    model = mlp_vae(prior=prior, objective=warm_elbo(steps))
    prior.adapt(x)
    return model


def two_layers(
    x: np.ndarray, steps: int, objective: objectives.ELBO | None = None
) -> kvae.VAE:
    """The same decoder; its latents get a prior with latents of its own."""
    decoder = keras.Sequential(
        [
            keras.Input((sum(LEVELS),), name="z"),
            networks.TakeFirst(LEVELS[0]),
            networks.mlp((LEVELS[0],), UNITS, "gelu", role="decoder"),
        ]
    )
    return mlp_vae(
        decoder=decoder,
        posterior=posteriors.TopDown(LEVELS, (200,), "gelu"),
        prior=priors.Hierarchical(LEVELS, (200,), "gelu"),
        objective=objective or warm_elbo(steps),
    )


# Each line makes its model of the training data and the number of steps of the run.
BOUNDS = {
    "ELBO": lambda x, steps: mlp_vae(),
    "IWAE(5)": lambda x, steps: mlp_vae(objective=objectives.IWAE(5)),
    "IWAE(5) DReG": lambda x, steps: mlp_vae(objective=objectives.IWAE(5, "dreg")),
}
LATENTS = {
    "warm-up": lambda x, steps: mlp_vae(objective=warm_elbo(steps)),
    "VampPrior": vamp,
    "IAF posterior": lambda x, steps: mlp_vae(
        posterior=posteriors.InverseAutoregressiveFlow(LATENT, 2, (320,)),
        objective=warm_elbo(steps),
    ),
    "two stochastic layers": two_layers,
    "the same, no warm-up": lambda x, steps: two_layers(
        x, steps, objectives.ELBO(kl="sampled")
    ),
}
GRAY = {
    f"Normal, scale {scale}": lambda x, steps, scale=scale: mlp_vae(
        likelihood=likelihoods.Normal(SHAPE, scale)
    )
    for scale in (1.0, 0.1, "learned", "optimal")
}
TABLES = (BOUNDS, LATENTS, GRAY)
SETTING = ("epochs", "batch_size", "examples", "samples")


def run(name: str, options: argparse.Namespace, data: Any) -> dict[str, Any]:
    """Trains and measures one line of the table."""
    keras.utils.set_random_seed(0)
    binary = name not in GRAY
    steps = math.ceil(len(data.train) / options.batch_size)
    vae = (BOUNDS | LATENTS | GRAY)[name](data.train, steps * options.epochs)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps * options.epochs)
    vae.compile(keras.optimizers.Adam(rate), jit_compile=True, steps_per_execution=50)
    batches = training_batches(data.train, options.batch_size, 1, binarize=binary)
    began = time.process_time()
    vae.fit(batches, epochs=options.epochs, steps_per_epoch=steps, verbose=0)
    seconds = time.process_time() - began
    test = data.test[: options.examples]
    test = binarize_once(test) if binary else test
    result = evaluation.log_likelihood(vae, test, options.samples)
    elbo = vae.elbo(data.test if not binary else binarize_once(data.test))
    return {
        "log_likelihood": result.log_likelihood.to_dict(),
        "elbo": float(elbo.mean()),
        "per_example": [float(value) for value in result.per_example],
        "seconds": seconds,
    }


def table(results: dict[str, Any], names: list[str]) -> str:
    """Lays out log-likelihoods and paired differences to the first line."""
    lines = [
        f"{'':24s}{'log p(x)':>10s}{'difference':>12s}{'+-':>7s}{'ELBO':>10s}{'cpu s':>7s}"
    ]
    done = [name for name in names if name in results]
    for name in done:
        values = np.array(results[name]["per_example"])
        gain = values - np.array(results[done[0]]["per_example"])
        error = gain.std(ddof=1) / math.sqrt(len(gain))
        lines.append(
            f"{name:24s}{values.mean():10.2f}{gain.mean():+12.2f}{error:7.2f}"
            f"{results[name]['elbo']:10.2f}{results[name]['seconds']:7.0f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="of TensorFlow Datasets")
    parser.add_argument("--out", type=pathlib.Path, default="variations.json")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=200)
    parser.add_argument("--examples", type=int, default=1000, help="test examples")
    parser.add_argument("--samples", type=int, default=1000, help="K of the bound")
    parser.add_argument("--only", nargs="*", help="names of lines")
    options = parser.parse_args()
    setting = {key: getattr(options, key) for key in SETTING}
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    if results.setdefault("setting", setting) != setting:
        parser.error(f"{options.out} holds lines of another setting; choose another.")
    data = load_data("mnist", options.data_dir, 0)
    for name in options.only or [name for lines in TABLES for name in lines]:
        if name not in results:
            results[name] = run(name, options, data)
            options.out.write_text(json.dumps(results))
            print(name, results[name]["log_likelihood"], flush=True)
    print(
        f"\n{options.epochs} epochs, K = {options.samples}, {options.examples} examples"
    )
    for lines in TABLES:
        print(table(results, list(lines)))


if __name__ == "__main__":
    main()
