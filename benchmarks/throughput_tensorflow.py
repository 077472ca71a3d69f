"""The TensorFlow systems of throughput.py: kvae, loops by hand, the style of keras.io.

    python benchmarks/throughput_tensorflow.py SYSTEM '{"model": "dense", ...}'

All have the networks of kvae.networks and Keras' Adam.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from throughput_turns import Turns

import kvae
from kvae.fitting.execution import steps_at_once
from kvae.networks import conv_decoder, conv_encoder, mlp
from kvae.training import training_batches

LEARNING_RATE = 1e-3
FOREVER = 10**6


class TakeTurns(keras.callbacks.Callback):
    """Makes every epoch of a fit one turn."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self.turns = turns

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Waits."""
        self.turns.begin()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Reports."""
        self.turns.end()


def networks(job: dict[str, Any]) -> tuple[Any, Any]:
    """Encoder and decoder, without their last linear maps."""
    shape, latent = tuple(job["shape"]), job["latent"]
    if job["model"] == "conv":
        encoder = conv_encoder(shape, (32, 64), units=512)
        return encoder, conv_decoder(latent, shape, (32, 16, 4), units=512)
    encoder = mlp(shape, (512, 256))
    return encoder, mlp((latent,), (256, 512), role="decoder")


def kvae_model(job: dict[str, Any]) -> Any:
    """The model as a user of kvae writes it."""
    encoder, decoder = networks(job)
    objective = kvae.objectives.IWAE(job["samples"]) if job["samples"] > 1 else None
    return kvae.VAE(
        encoder,
        decoder,
        kvae.posteriors.DiagonalNormal(job["latent"]),
        kvae.likelihoods.Bernoulli(tuple(job["shape"])),
        objective=objective,
        seed=0,
    )


def fit_as_a_user(job: dict[str, Any], x: np.ndarray, turns: Turns) -> None:
    """Trains on NumPy arrays, as a user does who passes `settings` to `compile`."""
    vae = kvae_model(job)
    vae.compile(keras.optimizers.Adam(LEARNING_RATE), **job.get("settings", {}))
    turns.since_start("built", parameters=trainable(vae))
    callbacks = [TakeTurns(turns)]
    vae.fit(x, batch_size=job["batch"], epochs=FOREVER, callbacks=callbacks)


def fit_as_a_recipe(job: dict[str, Any], x: np.ndarray, turns: Turns) -> None:
    """The pipeline of `kvae train`, shuffled and binarized in the graph."""
    batches = training_batches(x, job["batch"], seed=0, binarize=True)
    _fit_batches(job, batches, len(x), turns)


def fit_constant(job: dict[str, Any], x: np.ndarray, turns: Turns) -> None:
    """The same step on one batch that is always there: what no pipeline can beat."""
    batches = tf.data.Dataset.from_tensors(tf.constant(x[: job["batch"]])).repeat()
    _fit_batches(job, batches, len(x), turns)


def _fit_batches(
    job: dict[str, Any], batches: tf.data.Dataset, count: int, turns: Turns
) -> None:
    vae = kvae_model(job)
    steps, settings = count // job["batch"], dict(job["settings"])
    wanted = settings["steps_per_execution"]
    settings["steps_per_execution"] = steps_at_once(steps, wanted)  # as kvae train does
    vae.compile(keras.optimizers.Adam(LEARNING_RATE), **settings)
    turns.since_start("built", parameters=trainable(vae))
    vae.fit(
        batches,
        epochs=FOREVER,
        steps_per_epoch=steps,
        callbacks=[TakeTurns(turns)],
        verbose=0,
    )


class Loss(keras.Model):
    """Networks, last linear maps and minus the bound, in the plainest way."""

    def __init__(self, job: dict[str, Any]) -> None:
        super().__init__()
        self.encoder, self.decoder = networks(job)
        self.loc = keras.layers.Dense(job["latent"])
        self.raw_scale = keras.layers.Dense(job["latent"])
        conv = job["model"] == "conv"
        self.logits = keras.layers.Conv2D(1, 1) if conv else keras.layers.Dense(784)
        self.latent, self.samples = job["latent"], job["samples"]

    def call(self, x: Any) -> Any:
        """Minus the batch mean of the ELBO, or of the importance-weighted bound."""
        features = self.encoder(x)
        loc, scale = self.loc(features), tf.nn.softplus(self.raw_scale(features)) + 1e-4
        noise = tf.random.normal((self.samples, tf.shape(x)[0], self.latent))
        z = loc + scale * noise
        logits = self.logits(self.decoder(tf.reshape(z, (-1, self.latent))))
        if self.samples == 1:
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
            divergence = tf.square(loc) + tf.square(scale) - 1 - 2 * tf.math.log(scale)
            return (tf.reduce_sum(entropy) + 0.5 * tf.reduce_sum(divergence)) / tf.cast(
                tf.shape(x)[0], tf.float32
            )
        logits = tf.reshape(logits, (self.samples, -1, 784))
        labels = tf.broadcast_to(x, tf.shape(logits))
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
        ratio = tf.square(noise) - tf.square(z) + 2 * tf.math.log(scale)
        weights = 0.5 * tf.reduce_sum(ratio, -1) - tf.reduce_sum(entropy, -1)
        bounds = tf.reduce_logsumexp(weights, axis=0) - math.log(self.samples)
        return -tf.reduce_mean(bounds)


def by_hand(job: dict[str, Any], x: np.ndarray, turns: Turns) -> None:
    """The compiled loop of one who knows TensorFlow: data on the device, no metrics."""
    model = Loss(job)
    model(x[:2])
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(model.trainable_variables)
    turns.since_start("built", parameters=trainable(model))
    data, size, steps = tf.constant(x), job["batch"], len(x) // job["batch"]

    def step(rows: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model(tf.gather(data, rows))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    def epoch(order: Any) -> Any:
        total = 0.0
        for index in tf.range(steps):
            total += step(order[index * size : (index + 1) * size])
        return total / steps

    def epoch_for_xla(order: Any) -> Any:
        rows = tf.reshape(order[: steps * size], (steps, size))
        total = tf.zeros(())
        for index in tf.range(steps):
            total += step(rows[index])
        return total / steps

    whole, jit = job["settings"]["whole_epoch"], job["settings"]["jit_compile"]
    chosen = (epoch_for_xla if jit else epoch) if whole else step
    compiled = tf.function(chosen, jit_compile=jit)
    while True:
        turns.begin()
        order = tf.random.shuffle(tf.range(len(x)))
        if whole:
            loss = compiled(order)
        else:
            for rows in tf.split(order[: steps * size], steps):
                loss = compiled(rows)
        float(loss)
        turns.end()


class Example(keras.Model):
    """The VAE of the example on keras.io, with these networks."""

    def __init__(self, job: dict[str, Any]) -> None:
        super().__init__()
        features, decoder = self.make_networks(job)
        inputs = keras.Input(tuple(job["shape"]))
        hidden = features(inputs)
        mean = keras.layers.Dense(job["latent"])(hidden)
        log_variance = keras.layers.Dense(job["latent"])(hidden)
        self.encoder = keras.Model(inputs, [mean, log_variance])
        latents = keras.Input((job["latent"],))
        last = keras.layers.Conv2D if job["model"] == "conv" else keras.layers.Dense
        sizes = (1, 1) if job["model"] == "conv" else (784,)
        pixels = last(*sizes, activation="sigmoid")(decoder(latents))
        self.decoder = keras.Model(latents, pixels)
        self.seeds = keras.random.SeedGenerator(0)
        names = ("loss", "reconstruction_loss", "kl_loss")
        self.trackers = [keras.metrics.Mean(name=name) for name in names]

    def make_networks(self, job: dict[str, Any]) -> tuple[Any, Any]:
        """Encoder and decoder, without their last linear maps."""
        return networks(job)

    @property
    def metrics(self) -> list[Any]:
        """The three means."""
        return self.trackers

    def train_step(self, data: Any) -> dict[str, Any]:
        """As printed there."""
        with tf.GradientTape() as tape:
            mean, log_variance = self.encoder(data)
            noise = keras.random.normal(keras.ops.shape(mean), seed=self.seeds)
            pixels = self.decoder(mean + keras.ops.exp(0.5 * log_variance) * noise)
            entropy = keras.losses.binary_crossentropy(data, pixels)
            entropy = keras.ops.reshape(entropy, (keras.ops.shape(data)[0], -1))
            scale = 784 if len(data.shape) == 2 else 1
            reconstruction = keras.ops.mean(keras.ops.sum(entropy, axis=1)) * scale
            kl = 1 + log_variance - keras.ops.square(mean) - keras.ops.exp(log_variance)
            kl = keras.ops.mean(keras.ops.sum(-0.5 * kl, axis=1))
            loss = reconstruction + kl
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_weights, strict=True)
        )
        values = (loss, reconstruction, kl)
        for tracker, value in zip(self.trackers, values, strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}


def fit_keras_io(job: dict[str, Any], x: np.ndarray, turns: Turns) -> None:
    """`fit` as on keras.io."""
    model = Example(job)
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE))
    turns.since_start("built", parameters=trainable(model))
    callbacks = [TakeTurns(turns)]
    model.fit(x, batch_size=job["batch"], epochs=FOREVER, callbacks=callbacks)


def trainable(model: Any) -> int:
    """Counts the weights that are trained."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


SYSTEMS = {
    "user": fit_as_a_user,
    "recipe": fit_as_a_recipe,
    "constant": fit_constant,
    "hand": by_hand,
    "keras_io": fit_keras_io,
}

if __name__ == "__main__":
    wire = Turns()
    wire.since_start("imported")
    task = json.loads(sys.argv[2])
    bits = np.load(task["data"]).reshape(-1, *task["shape"])
    SYSTEMS[sys.argv[1]](task, bits, wire)
