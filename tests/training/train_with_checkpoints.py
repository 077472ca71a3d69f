"""Trains on the workers of TF_CONFIG with checkpoints; the second one may die.

    python train_with_checkpoints.py FOLDER [KILL_AT_STEP]

Without a step it goes on from the checkpoint, and then trains again without one.
"""

import json
import os
import signal
import sys

import keras
import numpy as np
import tensorflow as tf

STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()

import small  # noqa: E402  after the strategy

from kvae.training import Checkpoint  # noqa: E402

X = small.binary(40)
FOLDER, *KILL_AT = sys.argv[1:]


class Dies(keras.callbacks.Callback):
    """Ends the second worker as a power cut would."""

    def on_train_batch_begin(self, batch, logs=None):
        is_second = STRATEGY.cluster_resolver.task_id == 1
        if KILL_AT and is_second and int(self.model.step.numpy()) == int(KILL_AT[0]):
            os.kill(os.getpid(), signal.SIGKILL)


def train(callbacks):
    with STRATEGY.scope():
        model = small.vae()
    history = model.fit(X, epochs=4, batch_size=16, verbose=0, callbacks=callbacks)
    return small.weights(model), history.history["elbo"]


weights, elbo = train([Checkpoint(FOLDER, every="2 steps"), Dies()])
again, through = train([Checkpoint(FOLDER + "-through")])
print(
    "RESULT",
    json.dumps(
        {
            "weights": max(float(np.abs(a - b).max()) for a, b in zip(weights, again)),
            "elbo": float(np.abs(np.subtract(elbo, through)).max()),
            "epochs": len(elbo),
        }
    ),
)
