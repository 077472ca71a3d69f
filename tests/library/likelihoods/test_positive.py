"""A learned scale: fast under Adam, unchanged under plain gradient descent."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae.likelihoods import Normal

X = tf.constant(0.1 * np.random.default_rng(0).normal(size=(50, 4)), tf.float32)


def steps(optimizer: keras.optimizers.Optimizer, num: int) -> float:
    """The log scale after some steps on the likelihood of X around 0."""
    part = Normal((4,), "learned")
    part.build((None, 2))
    weight = next(w for w in part.trainable_variables if "scale" in w.path)
    for _ in range(num):
        with tf.GradientTape() as tape:
            params = part(tf.zeros((50, 2)))
            params["loc"] = tf.zeros_like(X)
            loss = -tf.reduce_mean(part.log_prob(params, X))
        optimizer.apply([tape.gradient(loss, weight.value)], [weight])
    return float(np.log(part(tf.zeros((1, 2)))["scale"].numpy().ravel()[0]))


def test_adam_moves_the_log_scale_by_ten_times_its_rate() -> None:
    assert steps(keras.optimizers.Adam(1e-3), 20) == pytest.approx(-0.2, rel=0.02)


def test_plain_descent_moves_it_as_without_the_factor() -> None:
    # d loss / d log scale = D - sum x^2 / scale^2, at scale 1
    gradient = 4 - float(tf.reduce_mean(tf.reduce_sum(X**2, axis=1)))
    moved = [steps(keras.optimizers.SGD(1e-3), num) for num in (0, 1)]
    assert moved[1] - moved[0] == pytest.approx(-1e-3 * gradient, rel=5e-3)
