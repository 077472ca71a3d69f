"""The Keras systems of time_to_quality.py: the recipe mnist, and the style of keras.io.

python benchmarks/time_to_quality_keras.py SYSTEM '{"seed": 0, ...}'
"""

from __future__ import annotations

import json
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from throughput_tensorflow import LEARNING_RATE, Example, trainable
from throughput_turns import Turns

from kvae.training import build_model, load_recipe, training_batches
from kvae.training.data.pipeline import draw_pixels, steps_per_epoch
from kvae.training.run.fit_run import choose_execution
from kvae.training.run.optimizer import make_optimizer

TEST_BATCH = 500


class TakeTurns(keras.callbacks.Callback):
    """Makes every epoch a turn, and measures the test ELBO after it."""

    def __init__(self, turns: Turns, measure: Any) -> None:
        super().__init__()
        self.turns, self.measure = turns, measure

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Waits."""
        self.turns.begin()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Reports."""
        last = epoch + 1 == self.params["epochs"]
        self.turns.end(lambda: {"elbo": self.measure(), "last": last})


def recipe(job: dict[str, Any], data: Any, turns: Turns) -> None:
    """What `kvae train mnist` does between the data and the model file."""
    settings = [*job["set"], f"seed={job['seed']}", f"batch_size={job['batch']}"]
    config = load_recipe("mnist", settings=settings)
    x, test = data["train"], data["test"]
    keras.utils.set_random_seed(config.seed)
    vae = build_model(config, x)
    config = choose_execution(vae, config, len(x))
    steps = steps_per_epoch(len(x), job["batch"])
    vae.compile(
        make_optimizer(config, steps * config.epochs),
        jit_compile=config.jit_compile,
        steps_per_execution=config.steps_per_execution,
    )
    averages = [keras.callbacks.SwapEMAWeights()] if config.ema_momentum else []

    def measure() -> float:
        found = vae.evaluate(
            test, batch_size=TEST_BATCH, verbose=0, callbacks=averages, return_dict=True
        )
        return float(found["elbo"])

    turns.since_start("built", parameters=trainable(vae))
    vae.fit(
        training_batches(x, job["batch"], config.seed, binarize=True),
        epochs=config.epochs,
        steps_per_epoch=steps,
        callbacks=[TakeTurns(turns, measure)],
        shuffle=False,
        verbose=0,
    )


class KerasExample(Example):
    """The style of the example on keras.io, with its layers."""

    def make_networks(self, job: dict[str, Any]) -> tuple[Any, Any]:
        """Two halvings to a narrow dense layer, and back."""
        layers = keras.layers
        pixels = keras.Input(tuple(job["shape"]))
        hidden = layers.Conv2D(32, 3, 2, "same", activation="relu")(pixels)
        hidden = layers.Conv2D(64, 3, 2, "same", activation="relu")(hidden)
        hidden = layers.Dense(16, activation="relu")(layers.Flatten()(hidden))
        latents = keras.Input((job["latent"],))
        maps = layers.Dense(7 * 7 * 64, activation="relu")(latents)
        maps = layers.Reshape((7, 7, 64))(maps)
        for filters in (64, 32):
            up = layers.Conv2DTranspose(filters, 3, 2, "same", activation="relu")
            maps = up(maps)
        return keras.Model(pixels, hidden), keras.Model(latents, maps)


def keras_io(job: dict[str, Any], data: Any, turns: Turns) -> None:
    """`fit` as on keras.io, on pixels drawn again in each epoch."""
    keras.utils.set_random_seed(job["seed"])
    model = KerasExample(job)
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE))
    x, test = data["train"], data["test"]

    def draw(count: Any, batch: Any) -> Any:
        return draw_pixels(batch, tf.stack([job["seed"], tf.cast(count, tf.int32)]))

    batches = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x), job["seed"])
    batches = batches.repeat().batch(job["batch"]).enumerate().map(draw).prefetch(4)

    @tf.function
    def bound(bits: Any) -> Any:
        mean, log_variance = model.encoder(bits)
        z = mean + tf.exp(0.5 * log_variance) * tf.random.normal(tf.shape(mean))
        p = tf.clip_by_value(model.decoder(z), 1e-7, 1 - 1e-7)
        log_p = bits * tf.math.log(p) + (1 - bits) * tf.math.log(1 - p)
        kl = tf.square(mean) + tf.exp(log_variance) - 1 - log_variance
        return tf.reduce_sum(log_p, (1, 2, 3)) - 0.5 * tf.reduce_sum(kl, 1)

    def measure() -> float:
        parts = np.split(test, len(test) // TEST_BATCH)
        return float(np.mean([bound(part) for part in parts]))

    turns.since_start("built", parameters=trainable(model))
    model.fit(
        batches,
        epochs=10**6,
        steps_per_epoch=steps_per_epoch(len(x), job["batch"]),
        callbacks=[TakeTurns(turns, measure)],
        verbose=0,
    )


if __name__ == "__main__":
    wire = Turns()
    wire.since_start("imported")
    task = json.loads(sys.argv[2])
    with np.load(task["data"]) as arrays:
        found = {name: arrays[name] for name in ("train", "test")}
    {"recipe": recipe, "keras_io": keras_io}[sys.argv[1]](task, found, wire)
