"""Steps with an over-large gradient are left out, and counted."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

from kvae.fitting.gradient_guard import GradientGuard

X = small.binary(48)


def fit(limit, **compile):
    model = small.noise_free(
        compile={
            "optimizer": keras.optimizers.Adam(0.01),
            "max_gradient_norm": limit,
            **compile,
        }
    )
    before = small.weights(model)
    history = model.fit(X, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    return model, before, history


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({}, id="alone"),
        pytest.param(
            {"jit_compile": True, "steps_per_execution": 3},
            id="joined",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_limit_below_every_gradient_stops_training(how, caplog):
    model, before, history = fit(1e-9, **how)
    assert history["skipped_steps"] == [6]  # the second epoch would be the same
    for a, b in zip(small.weights(model), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.iterations.numpy()) == 0
    assert int(model.step.numpy()) == 6
    (said,) = [m for r in caplog.records if "was skipped" in (m := r.getMessage())]
    assert "every step of epoch 1 was skipped" in said
    with tf.GradientTape() as tape:  # the weights are as before
        loss = -tf.reduce_mean(model.elbo(tf.constant(X[-8:])))
    norm = tf.linalg.global_norm(tape.gradient(loss, model.trainable_variables))
    printed = re.search(r"the last one was (\S+)\. Raise", said).group(1)
    assert float(printed) == pytest.approx(float(norm), rel=0.01)


@pytest.mark.slow
def test_a_high_limit_leaves_nothing_out_and_is_saved(tmp_path, caplog):
    guarded, _, history = fit(1e9)
    assert history["skipped_steps"] == [0, 0]
    assert "was skipped" not in caplog.text
    plain, _, history = fit(None)
    assert "skipped_steps" not in history
    assert small.largest_difference(guarded, plain) < 1e-6
    guarded.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert loaded._guard.limit == 1e9


def skips(optimizer, limit, gradients, weights):
    return float(GradientGuard(limit).apply([(optimizer, weights)], [gradients]))


def test_the_norm_is_over_all_weights():
    """Gradients (3, 0) and (4): norm 5."""
    weights = [keras.Variable(np.zeros(2)), keras.Variable(np.zeros(1))]
    gradients = [tf.constant([3.0, 0.0]), tf.constant([4.0])]
    for limit, skipped in ((4.999, 1), (5.001, 0)):
        assert skips(keras.optimizers.SGD(1.0), limit, gradients, weights) == skipped
        np.testing.assert_array_equal(weights[1], [-4.0 * (1 - skipped)])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_left_out(bad):
    weight = keras.Variable(np.zeros(2))
    gradient = tf.constant([bad, 1.0])
    assert skips(keras.optimizers.SGD(1.0), 1e30, [gradient], [weight]) == 1
    np.testing.assert_array_equal(weight, [0, 0])


def test_mixed_float16_is_measured_without_its_scale():
    """The same limit, a little above the true norm, lets the step through."""
    weight = keras.Variable(np.zeros(1))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0))
    optimizer.build([weight])
    scaled = optimizer.scale_loss(tf.constant(2.0))
    for limit, skipped in ((1.9, 1), (2.1, 0)):
        gradient = tf.reshape(scaled, (1,))
        assert skips(optimizer, limit, [gradient], [weight]) == skipped
    np.testing.assert_allclose(weight, [-2.0], rtol=1e-6)
    scale = float(optimizer.dynamic_scale.numpy())
    assert skips(optimizer, 2.1, [tf.constant([np.inf])], [weight]) == 0
    assert float(optimizer.dynamic_scale.numpy()) == scale / 2  # as without the guard


def test_a_fixed_loss_scale_is_taken_out():
    """Loss 2w, scaled by 1024: norm 2."""
    weight = keras.Variable(np.zeros(1))
    optimizer = keras.optimizers.SGD(1.0, loss_scale_factor=1024.0)
    gradients = [tf.constant([2.0 * 1024.0])]
    for limit, skipped in ((1.9, 1), (10.0, 0)):
        assert skips(optimizer, limit, gradients, [weight]) == skipped
    np.testing.assert_array_equal(weight, [-2.0])


def test_a_norm_beyond_all_numbers_is_left_out_under_mixed_float16():
    """Entries of 1e25 are finite, and their squares are not."""
    weight = keras.Variable(np.zeros(2))
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0))
    assert skips(optimizer, 10.0, [tf.constant([1e25, 1e25])], [weight]) == 1
    np.testing.assert_array_equal(weight, [0, 0])


def test_mistakes_are_said():
    with pytest.raises(ValueError, match="max_gradient_norm must be above 0"):
        fit(0.0)
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    with strategy.scope():  # one replica is one device
        GradientGuard(1.0)
