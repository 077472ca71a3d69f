"""Trains the same model with and without replicas, and prints how far apart they end.

Run as a script, in a process of its own: the logical devices must be made before
TensorFlow starts, and a failed collective spoils a process.
"""

import json

import keras
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

from support import small  # noqa: E402  after the devices

# 49 examples in batches of 16: the last batch holds one, so one replica gets none.
X = small.binary(49)
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2.0, len(X))


def train(strategy, sample_weight):
    with strategy.scope():
        dense = keras.layers.Dense(
            8, "tanh", kernel_regularizer="l2", activity_regularizer="l2"
        )
        model = small.noise_free(
            encoder=keras.Sequential([keras.Input((small.DIM,)), dense]),
            compile={"optimizer": keras.optimizers.SGD(0.1)},
        )
        model.set_weights(START or model.get_weights())
    START[:] = START or model.get_weights()
    start = small.weights(model)
    options = {"batch_size": 16, "verbose": 0, "sample_weight": sample_weight}
    history = model.fit(X, epochs=2, shuffle=False, **options).history
    reports = [*history.values(), *model.evaluate(X, **options)]
    return start, small.weights(model), np.concatenate([np.ravel(r) for r in reports])


def apart(left, right):
    return max(float(np.abs(a - b).max()) for a, b in zip(left, right, strict=True))


for sample_weight in (None, WEIGHTS):
    START: list[np.ndarray] = []
    start, single, reported = train(tf.distribute.get_strategy(), sample_weight)
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )
    assert strategy.num_replicas_in_sync == 2
    _, mirrored, found = train(strategy, sample_weight)
    result = {
        "weights": apart(single, mirrored),
        "reports": apart([reported], [found]),
        "moved": apart(start, single),
    }
    print("RESULT", json.dumps(result))
