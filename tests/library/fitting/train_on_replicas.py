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

import kvae  # noqa: E402

# 49 examples in batches of 16: the last batch holds one, so one replica gets none.
X = small.binary(49)
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2.0, len(X))


def own(model):
    """What the objective trains itself."""
    groups = model.objective.own_optimizers()
    return [v.numpy() for _, variables in groups for v in variables]


def train(strategy, sample_weight, make_objective):
    with strategy.scope():
        dense = keras.layers.Dense(
            8, "tanh", kernel_regularizer="l2", activity_regularizer="l2"
        )
        model = small.noise_free(
            encoder=keras.Sequential([keras.Input((small.DIM,)), dense]),
            objective=make_objective(),
            compile={"optimizer": keras.optimizers.SGD(0.1)},
        )
        model.set_weights(START or model.get_weights())
    START[:] = START or model.get_weights()
    start = [*small.weights(model), *own(model)]
    options = {"batch_size": 16, "verbose": 0, "sample_weight": sample_weight}
    history = model.fit(X, epochs=2, shuffle=False, **options).history
    reports = [*history.values(), *model.evaluate(X, **options)]
    end = [*small.weights(model), *own(model)]
    return start, end, np.concatenate([np.ravel(r) for r in reports])


def apart(left, right):
    return max(float(np.abs(a - b).max()) for a, b in zip(left, right, strict=True))


def adversarial():
    """Its adaptive weight would be that of one replica."""
    sgd = keras.optimizers.SGD(0.1, clipnorm=0.5)
    return kvae.objectives.Adversarial(adaptive=False, optimizer=sgd)


for sample_weight, make_objective in (
    (None, kvae.objectives.ELBO),
    (WEIGHTS, adversarial),
):
    START: list[np.ndarray] = []
    start, single, reported = train(
        tf.distribute.get_strategy(), sample_weight, make_objective
    )
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
    )
    assert strategy.num_replicas_in_sync == 2
    _, mirrored, found = train(strategy, sample_weight, make_objective)
    result = {
        "weights": apart(single, mirrored),
        "reports": apart([reported], [found]),
        "moved": apart(start, single),
    }
    print("RESULT", json.dumps(result))
