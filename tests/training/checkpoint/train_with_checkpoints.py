"""Trains on the workers of TF_CONFIG with checkpoints.

    python train_with_checkpoints.py FOLDER [killed]

If asked to, worker 1 is killed in the third epoch. Otherwise training resumes from the
checkpoint, is done again without one, and a third time, until worker 1 is asked to stop.
"""

import json
import os
import signal
import sys

import keras
import numpy as np
import tensorflow as tf

STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()

from support import small  # noqa: E402  after the strategy

from kvae.training import Checkpoint  # noqa: E402

X = small.binary(40)
FOLDER, *KILLED = sys.argv[1:]


class Ends(keras.callbacks.Callback):
    """Sends worker 1 a signal before a step of this fit."""

    def __init__(self, steps, number):
        super().__init__()
        self.steps, self.number = steps, number

    def on_train_batch_begin(self, batch, logs=None):
        if self.steps == 0 and STRATEGY.cluster_resolver.task_id == 1:
            os.kill(os.getpid(), self.number)
        self.steps -= 1


with STRATEGY.scope():
    model = small.vae()
    rewind = small.rewinder(model)


def train(*callbacks):
    with STRATEGY.scope():
        rewind()
    fit = {"epochs": 4, "batch_size": 16, "verbose": 0}
    history = model.fit(X, callbacks=list(callbacks), **fit)
    return small.weights(model), history.history["elbo"]


ends = [Ends(8, signal.SIGKILL)] if KILLED else []
weights, elbo = train(Checkpoint(FOLDER, every="2 steps"), *ends)
again, through = train(Checkpoint(FOLDER + "-through"))
print(
    "RESULT",
    json.dumps(
        {
            "weights": max(
                float(np.abs(a - b).max()) for a, b in zip(weights, again, strict=True)
            ),
            "elbo": float(np.abs(np.subtract(elbo, through)).max()),
            "epochs": len(elbo),
        }
    ),
    flush=True,
)
train(Checkpoint(FOLDER + "-asked"), Ends(4, signal.SIGTERM))
