"""Steps of a deep model by `fit`, beside a training step written by hand.

    python benchmarks/deep_steps.py

The step by hand computes the same loss with the same layers, in one pass through the trunk,
and reports nothing. Both take turns, and processor time is compared, so other programs
disturb the ratio little.
"""

from __future__ import annotations

import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import kvae

BATCH, STEPS, ROUNDS = 128, 20, 4


def make() -> kvae.VAE:
    """A model of six levels."""
    keras.utils.set_random_seed(0)
    x = np.zeros((2, 28, 28, 1), "float32")
    return kvae.presets.deep_vae(x, {1: 1, 4: 2, 7: 3}, likelihood=bernoulli(), seed=0)


def bernoulli() -> Any:
    """The likelihood of binary pixels."""
    return kvae.likelihoods.Bernoulli((28, 28, 1))


def by_hand(vae: kvae.VAE) -> Any:
    """A compiled step: the closed form of each level's KL, and the cross-entropy."""
    optimizer = keras.optimizers.Adam(1e-3)
    variables = vae.trainable_variables
    optimizer.build(variables)
    counter = tf.Variable(0)

    @tf.function
    def step(x: Any) -> Any:
        noise = tf.random.stateless_normal(
            (1, BATCH, vae.latent_dim), tf.stack([0, counter])
        )
        with tf.GradientTape() as tape:
            params = vae.posterior(vae.encoder(x))
            walk = vae.posterior.walk(params, noise)
            logits = vae.likelihood(walk.features)["logits"]
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
            loss = tf.reduce_mean(tf.reduce_sum(entropy, axis=(1, 2, 3)))
            loss += tf.reduce_mean(tf.reduce_sum(walk.rates, axis=-1))
        optimizer.apply(tape.gradient(loss, variables), variables)
        counter.assign_add(1)
        return loss

    return step


def main() -> None:
    """Lets both take turns, and prints processor time and its ratio."""
    rng = np.random.default_rng(0)
    x = (rng.random((BATCH * STEPS, 28, 28, 1)) < 0.2).astype("float32")
    fitted, model = make(), make()
    fitted.compile(keras.optimizers.Adam(1e-3))
    step = by_hand(model)
    fitted.fit(x[: 2 * BATCH], batch_size=BATCH, verbose=0)
    step(tf.constant(x[:BATCH]))
    seconds: dict[str, list[float]] = {"fit": [], "by hand": []}
    for _ in range(ROUNDS):
        began = time.process_time()
        fitted.fit(x, batch_size=BATCH, verbose=0)
        seconds["fit"].append(time.process_time() - began)
        batches = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x)).batch(BATCH)
        began = time.process_time()
        for batch in batches:
            step(batch)
        seconds["by hand"].append(time.process_time() - began)
    for name, values in seconds.items():
        each = np.array(values) / STEPS
        print(f"{name}: {1 / np.median(each):.2f} steps per second of processor time")
    ratio = np.median(seconds["by hand"]) / np.median(seconds["fit"])
    print(f"steps per second of fit beside those by hand: {ratio:.3f}")


if __name__ == "__main__":
    main()
