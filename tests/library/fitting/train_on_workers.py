"""Trains on the workers of TF_CONFIG, and says how far they are from one process.

Run as a script, once for each worker: the strategy must come before all else.
"""

import json
import sys
import zlib

import keras
import numpy as np
import tensorflow as tf

STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()
IS_FIRST = STRATEGY.cluster_resolver.task_id == 0

from support import small  # noqa: E402  after the strategy

# 49 examples in batches of 16: the last batch holds one, so some workers get none.
X, VALIDATION = small.binary(49), small.binary(9, seed=3)
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2.0, len(X)).astype("float32")


def train(strategy, optimizer, sample_weight):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        dense = keras.layers.Dense(8, "tanh", kernel_regularizer="l2")
        encoder = keras.Sequential([keras.Input((small.DIM,)), dense])
        model = small.noise_free(encoder=encoder, compile={"optimizer": optimizer()})
    model.set_weights(START or model.get_weights())
    START[:] = START or model.get_weights()
    start = small.weights(model)
    options = {"batch_size": 16, "verbose": 0, "sample_weight": sample_weight}
    history = model.fit(
        X,
        epochs=2,
        shuffle=False,
        validation_data=VALIDATION,
        validation_batch_size=4,
        **options,
    ).history
    reports = [*history.values(), model.evaluate(X, **options)]
    return start, small.weights(model), np.concatenate([np.ravel(r) for r in reports])


def apart(left, right):
    return max(float(np.abs(a - b).max()) for a, b in zip(left, right, strict=True))


# The gradients' norm is above the limit: each worker's own would be cut otherwise.
CASES = [(lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.1), WEIGHTS)]
if "short" not in sys.argv:
    CASES.append((lambda: keras.optimizers.SGD(0.1), None))
for optimizer, sample_weight in CASES:
    START: list[np.ndarray] = []
    start, found, reports = train(STRATEGY, optimizer, sample_weight)
    result = {
        "workers": STRATEGY.num_replicas_in_sync,
        "bytes": zlib.crc32(b"".join(w.tobytes() for w in [*found, reports])),
        "moved": apart(start, found),
    }
    if IS_FIRST:
        alone = train(tf.distribute.get_strategy(), optimizer, sample_weight)
        result["weights"] = apart(found, alone[1])
        result["reports"] = apart([reports], [alone[2]])
    print("RESULT", json.dumps(result), flush=True)
