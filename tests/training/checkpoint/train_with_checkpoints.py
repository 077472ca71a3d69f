"""Trains on the workers of TF_CONFIG with checkpoints; one of them may be ended.

    python train_with_checkpoints.py FOLDER [STEP WORKER SIGNAL]

Without a signal it resumes from the checkpoint, and then trains again without one.
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
FOLDER, *END = sys.argv[1:]


class Ends(keras.callbacks.Callback):
    """Sends one worker a signal before a step."""

    def on_train_batch_begin(self, batch, logs=None):
        here = (int(self.model.step.numpy()), STRATEGY.cluster_resolver.task_id)
        if END and here == (int(END[0]), int(END[1])):
            os.kill(os.getpid(), signal.Signals[END[2]])


def train(callbacks):
    with STRATEGY.scope():
        model = small.vae()
    history = model.fit(X, epochs=4, batch_size=16, verbose=0, callbacks=callbacks)
    return small.weights(model), history.history["elbo"]


weights, elbo = train([Checkpoint(FOLDER, every="2 steps"), Ends()])
again, through = train([Checkpoint(FOLDER + "-through")])
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
)
