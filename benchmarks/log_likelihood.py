"""How fast is log p(x) with 5000 samples, against pythae's get_nll and the machine?

    python benchmarks/log_likelihood.py --data-dir DIR --pythae-python PATH

The one-layer model of Burda et al. 2016 (784-200-200-50 and back, tanh), the same weights
and the same test images for both libraries, which take turns in one run. pythae 0.1.2
needs an environment of its own: its interpreter is --pythae-python. The machine's peak is
that of a 2048^3 float32 matrix product in TensorFlow, per second of processor time, which
other work on the machine disturbs less; the share counts the decoder's products only.
pythae encodes an image again for each of its K samples: the comparison is of what a user
waits for, not of the same number of products.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import kvae
from kvae import evaluation, networks
from kvae.training import binarize_once, load_data, training_batches

LATENT, WIDTH = 50, 200
DECODER = LATENT * WIDTH + WIDTH * WIDTH + WIDTH * 784  # multiply-adds per sample


def model() -> kvae.VAE:
    """Makes the model of the paper."""
    keras.utils.set_random_seed(0)
    return kvae.VAE(
        networks.mlp((784,), (WIDTH, WIDTH), "tanh"),
        networks.mlp((LATENT,), (WIDTH, WIDTH), "tanh", role="decoder"),
        kvae.posteriors.DiagonalNormal(LATENT),
        kvae.likelihoods.Bernoulli((784,)),
        seed=0,
    )


def peak() -> float:
    """Multiply-adds per processor second of a large matrix product, times 2."""
    size = 2048
    a = tf.random.normal((size, size))
    product = tf.function(lambda: tf.matmul(a, a))
    product()
    times = []
    for _ in range(8):
        began = time.process_time()
        product().numpy()
        times.append(time.process_time() - began)
    return 2 * size**3 / min(times)


def export_weights(vae: Any, path: pathlib.Path) -> None:
    """Writes kernels and biases by the names that the other script reads."""
    # Both libraries multiply from the left of the kernel as Keras stores it.
    found = {}
    for name, part in (("encoder", vae.encoder), ("decoder", vae.decoder)):
        kernels = [w.numpy() for w in part.weights]
        found |= {f"{name}_{i}": w for i, w in enumerate(kernels)}
    q, p = vae.posterior, vae.likelihood
    found |= {
        f"posterior_{w.path.split('/')[-2]}_{w.name}": w.numpy() for w in q.weights
    }
    found |= {f"likelihood_{w.name}": w.numpy() for w in p.weights}
    np.savez(path, **found)


def main() -> None:
    """Trains briefly, measures in turns, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="of TensorFlow Datasets")
    parser.add_argument("--pythae-python", help="interpreter that has pythae and torch")
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--num-samples", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    data = load_data("mnist", options.data_dir, 0)
    train = data.train.reshape(-1, 784)
    vae = model()
    vae.compile(keras.optimizers.Adam(1e-3), jit_compile=True, steps_per_execution=50)
    batches = training_batches(train, 200, 0, binarize=True)
    steps = len(train) // 200
    vae.fit(batches, epochs=options.epochs, steps_per_epoch=steps, verbose=0)
    x = binarize_once(data.test)[: options.examples].reshape(-1, 784)

    speed = peak()
    flops = 2.0 * DECODER * options.num_samples
    print(
        f"peak {speed / 1e9:.0f} GFLOP/s per core; {flops / 1e9:.2f} GFLOP per example"
    )
    evaluation.log_likelihood(vae, x[:2], options.num_samples)  # compiles
    rows: dict[str, list[dict[str, float]]] = {"kvae": []}
    with tempfile.TemporaryDirectory() as folder:
        weights, images = pathlib.Path(folder, "w.npz"), pathlib.Path(folder, "x.npy")
        export_weights(vae, weights)
        np.save(images, x)
        other = pathlib.Path(__file__).with_name("log_likelihood_pythae.py")
        command = [options.pythae_python, str(other), str(weights), str(images)]
        for _ in range(options.rounds):
            wall, used = time.perf_counter(), time.process_time()
            found = evaluation.log_likelihood(vae, x, options.num_samples)
            rows["kvae"].append(
                {
                    "nll": -found.log_likelihood.value,
                    "wall": (time.perf_counter() - wall) / len(x),
                    "processor": (time.process_time() - used) / len(x),
                }
            )
            if options.pythae_python:
                done = subprocess.run(
                    [*command, str(options.num_samples)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                answer = json.loads(done.stdout.splitlines()[-1])
                rows.setdefault("pythae", []).append(answer)
    print(f"{len(x)} MNIST test images, K = {options.num_samples}, ms per example")
    print(f"{'':10}{'NLL':>9}{'wall':>9}{'processor':>11}{'share of peak':>15}")
    for name, found in rows.items():
        wall, used, nll = (
            float(np.median([row[key] for row in found]))
            for key in ("wall", "processor", "nll")
        )
        share = flops / used / speed
        print(f"{name:10}{nll:9.2f}{1e3 * wall:9.1f}{1e3 * used:11.1f}{share:15.0%}")
    if "pythae" in rows:
        values = [row[0]["nll"] for row in rows.values()]
        # Both weigh samples by importance; with these networks 5000 of them are many.
        assert abs(values[0] - values[1]) < 0.01 * values[0], "not the same estimate"
        for key in ("wall", "processor"):
            ratios = [
                p[key] / k[key]
                for k, p in zip(rows["kvae"], rows["pythae"], strict=True)
            ]
            print(f"pythae / kvae, {key} time: {np.median(ratios):.1f}")
    else:
        print("pythae was not run: give --pythae-python")


if __name__ == "__main__":
    main()
