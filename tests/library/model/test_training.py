"""The laws of training, in one file: what must not change a loss, and what must."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

import kvae
from kvae.networks import mlp
from kvae.noise import Noise

X = small.binary()
W = np.random.default_rng(3).uniform(0.1, 2.0, len(X)).astype("float32")
NAMES = ("loss", "elbo", "rate", "distortion", "bits_per_dim", "active_units")


EAGER = {"run_eagerly": True}
"""Where a graph is not the point; it is in test_compilation_does_not_change_training."""


def still():
    return {"optimizer": keras.optimizers.SGD(0.0), **EAGER}


def descending(rate=0.1):
    return {"optimizer": keras.optimizers.SGD(rate), **EAGER}


def fit(model, x=X, **options):
    options = {"batch_size": 16, "shuffle": False, "verbose": 0} | options
    return model.fit(x, **options).history


def evaluate(model, x=X, **options):
    return model.evaluate(x, verbose=0, return_dict=True, **options)


@pytest.mark.parametrize("options", [{}, {"max_gradient_norm": 1.0}])
def test_a_step_is_traced_once(monkeypatch, options):
    traces = []
    step = kvae.VAE.train_step
    monkeypatch.setattr(
        kvae.VAE, "train_step", lambda *given: traces.append(1) or step(*given)
    )
    fit(small.vae(compile={"optimizer": "adam"} | options), epochs=2)
    assert len(traces) == 1


# === What must not change a loss ===


def test_evaluation_does_not_depend_on_batch_size_or_a_ragged_last_batch():
    model = small.vae()
    whole = evaluate(model, batch_size=50)
    assert set(whole) == set(NAMES)
    for batch_size in (1, 7, 49):
        for name, value in evaluate(model, batch_size=batch_size).items():
            np.testing.assert_allclose(value, whole[name], rtol=1e-5, err_msg=name)
    assert evaluate(model, batch_size=50) == whole


def test_the_gradient_of_a_batch_is_the_mean_over_its_examples():
    """A step on 50 examples is 20/50 of a step on 20 and 30/50 of one on 30."""

    def step(x):
        model = small.noise_free(compile=descending(1.0))
        before = small.weights(model)
        fit(model, x, batch_size=len(x))
        return [b - a for a, b in zip(before, small.weights(model), strict=True)]

    whole, left, right = step(X), step(X[:20]), step(X[20:])
    for all_, a, b in zip(whole, left, right, strict=True):
        np.testing.assert_allclose(all_, 0.4 * a + 0.6 * b, atol=2e-6)


@pytest.mark.slow
def test_steps_per_execution_changes_nothing():
    one, four = small.vae(), small.vae(compile={"steps_per_execution": 4})
    np.testing.assert_allclose(
        fit(one, epochs=2)["loss"], fit(four, epochs=2)["loss"], rtol=1e-6
    )
    assert small.largest_difference(one, four) < 1e-6
    assert int(one.step.value) == int(four.step.value) == 8


def test_fit_reports_what_evaluate_does_on_the_same_weights():
    model = small.noise_free(compile=still())
    trained, measured = fit(model), evaluate(model)
    for name in NAMES:
        np.testing.assert_allclose(trained[name], measured[name], rtol=1e-5)


def test_fit_reports_what_evaluate_does_on_the_same_weights_and_noise(monkeypatch):
    model = small.vae(compile=still())
    key = tf.stack([tf.cast(model.noise_seed.value, tf.int32), 0x5EED])
    monkeypatch.setattr(model, "_training_noise", lambda: Noise(key, tf.constant(0)))
    trained, measured = fit(model, batch_size=50), evaluate(model, batch_size=50)
    for name in NAMES:
        np.testing.assert_allclose(trained[name], measured[name], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"jit_compile": True}, {"run_eagerly": True}])
def test_compilation_does_not_change_training(options):
    plain, other = small.noise_free(), small.noise_free(compile=options)
    np.testing.assert_allclose(
        fit(plain, epochs=2)["loss"], fit(other, epochs=2)["loss"], rtol=1e-5
    )
    assert small.largest_difference(plain, other) < 1e-5


@pytest.mark.slow
def test_a_dataset_trains_as_the_array_it_holds():
    array, dataset = small.vae(EAGER), small.vae(EAGER)
    fit(array)
    fit(dataset, tf.data.Dataset.from_tensor_slices(X).batch(16), batch_size=None)
    assert small.largest_difference(array, dataset) == 0


@pytest.mark.slow
def test_a_generator_trains_as_the_array_it_yields():
    array, generator = small.vae(EAGER), small.vae(EAGER)
    fit(array)
    batches = ((X[i : i + 16],) for i in range(0, 50, 16))
    fit(generator, batches, batch_size=None, steps_per_epoch=4)
    assert small.largest_difference(array, generator) == 0


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_a_single_batch_of_arrays_can_be_trained_on(run_eagerly):
    condition = np.eye(2, dtype="float32")[np.arange(50) % 2]
    model = small.vae(
        encoder=mlp((small.DIM,), (8,), condition_shape=(2,)),
        decoder=mlp((2,), (8,), condition_shape=(2,), role="decoder"),
        prior=kvae.priors.ConditionalNormal(2),
        compile={"run_eagerly": run_eagerly},
    )
    before = small.weights(model)
    model.train_on_batch({"x": X, "condition": condition})
    assert any(
        np.any(a != b) for a, b in zip(before, small.weights(model), strict=True)
    )


@pytest.mark.slow
def test_gradient_accumulation_equals_the_large_batch():
    whole = small.noise_free(compile=descending())
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=5)
    parts = small.noise_free(compile={"optimizer": optimizer, **EAGER})
    fit(whole, batch_size=50)
    fit(parts, batch_size=10)
    assert small.largest_difference(whole, parts) < 1e-6


# === What the numbers mean ===


def test_rate_and_distortion_add_up_to_minus_elbo():
    found = evaluate(small.vae())
    np.testing.assert_allclose(
        found["rate"] + found["distortion"], -found["elbo"], rtol=1e-6
    )
    np.testing.assert_allclose(found["loss"], -found["elbo"], rtol=1e-6)
    bits = -found["elbo"] / (np.log(2) * small.DIM)
    np.testing.assert_allclose(found["bits_per_dim"], bits, rtol=1e-6)


@pytest.mark.slow
def test_validation_says_what_evaluate_says():
    model = small.vae(EAGER)
    history = fit(model, validation_data=X[:20], epochs=2)
    measured = evaluate(model, X[:20])
    for name in NAMES:
        np.testing.assert_allclose(
            history[f"val_{name}"][-1], measured[name], rtol=1e-6
        )


def test_training_lowers_the_loss_on_held_out_data():
    model = small.vae()
    before = evaluate(model, small.binary(200, seed=1))["loss"]
    fit(model, small.binary(200), epochs=30)
    after = evaluate(model, small.binary(200, seed=1))["loss"]
    assert after < before - 0.2


def test_training_noise_is_fresh_at_every_step():
    history = fit(small.vae(compile=still()), batch_size=50, epochs=3)
    assert len(set(history["distortion"])) == 3
    assert len(set(history["rate"])) == 1  # in closed form: no noise in it


# === Sample weights ===


def weighted(form, weight):
    """`fit` with SGD for one epoch, the weights handed over in one of all the ways."""
    model = small.noise_free(compile=descending())
    options = {}
    if form == "array":
        options["sample_weight"] = weight
        x = X
    elif form == "positional":
        arguments = [X, None, 16, 1, 0, None, 0.0, None, False, None, weight]
        return model, model.fit(*arguments).history
    elif form == "dict":
        x, options["sample_weight"] = {"x": X}, weight
    elif form == "generator":
        slices = [slice(i, i + 16) for i in range(0, 50, 16)]
        x, options["batch_size"] = ((X[s], None, weight[s]) for s in slices), None
        options["steps_per_epoch"] = 4
    else:
        x = tf.data.Dataset.from_tensor_slices((X, weight)).batch(16)
        x, options["batch_size"] = x.map(lambda x, w: (x, None, w)), None
    return model, fit(model, x, **options)


@pytest.fixture(scope="module")
def references():
    return [weighted("array", weight) for weight in (W, np.ones_like(W))]


@pytest.mark.parametrize("form", ["positional", "dict", "generator", "dataset"])
def test_sample_weights_count_in_every_form_of_input(references, form):
    (reference, history), (unweighted, _) = references
    model, found = weighted(form, W)
    assert small.largest_difference(model, reference) < 1e-6
    np.testing.assert_allclose(found["loss"], history["loss"], rtol=1e-5)
    assert small.largest_difference(model, unweighted) > 1e-3


def test_examples_of_weight_zero_move_nothing():
    model = small.vae(EAGER)
    before = small.weights(model)
    history = fit(model, sample_weight=np.zeros(50))
    assert history["loss"] == [0.0]
    for a, b in zip(before, small.weights(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weighted_loss_and_metrics_are_the_weighted_means():
    model = small.noise_free(compile=still())
    each = [evaluate(model, X[i : i + 1])["loss"] for i in range(10)]
    found = evaluate(model, X[:10], sample_weight=W[:10], batch_size=4)
    np.testing.assert_allclose(found["loss"], np.mean(W[:10] * each), rtol=1e-5)
    elbo = -np.average(each, weights=W[:10])
    np.testing.assert_allclose(found["elbo"], elbo, rtol=1e-5)


def test_validation_weights_count():
    model = small.noise_free(compile=still())
    history = fit(model, validation_data=(X, None, W))
    wanted = evaluate(model, sample_weight=W)
    np.testing.assert_allclose(history["val_loss"], wanted["loss"], rtol=1e-5)
    assert abs(history["val_loss"][0] - evaluate(model)["loss"]) > 1e-2


def test_validation_split_keeps_weights_with_their_examples():
    model = small.noise_free(compile=still())
    history = fit(model, sample_weight=W, validation_split=0.4)
    last = evaluate(model, X[30:], sample_weight=W[30:])
    first = evaluate(model, X[:30], sample_weight=W[:30])
    np.testing.assert_allclose(history["val_loss"], last["loss"], rtol=1e-5)
    np.testing.assert_allclose(history["loss"], first["loss"], rtol=1e-5)


# === Losses of weights and layers ===


def regularized(where, **options):
    regularizer = {where: keras.regularizers.L2(0.3)}
    dense = keras.layers.Dense(8, "tanh", **regularizer)
    encoder = keras.Sequential([keras.Input((small.DIM,)), dense])
    return small.noise_free(encoder=encoder, **options), dense


@pytest.mark.parametrize("batch_size", [16, 50])
def test_a_weight_regularizer_counts_exactly_once(batch_size):
    model, dense = regularized("kernel_regularizer", compile=still())
    penalty = 0.3 * float(np.square(dense.kernel.numpy()).sum())
    assert penalty > 0.1
    for found in (
        evaluate(model, batch_size=batch_size),
        {k: v[0] for k, v in fit(model, batch_size=batch_size).items()},
    ):
        np.testing.assert_allclose(found["loss"] + found["elbo"], penalty, rtol=1e-5)


def test_the_gradient_of_a_regularizer_counts_exactly_once():
    with_, dense = regularized("kernel_regularizer", compile=descending())
    start = dense.kernel.numpy()
    without = small.noise_free(compile=descending())
    without.set_weights(with_.get_weights())
    fit(with_, batch_size=50)
    fit(without, batch_size=50)
    difference = without.encoder.layers[-1].kernel.numpy() - dense.kernel.numpy()
    np.testing.assert_allclose(difference, 0.1 * 2 * 0.3 * start, atol=1e-6)


def test_an_activity_regularizer_survives_every_trace_and_counts_once():
    model, dense = regularized(
        "activity_regularizer", compile=still() | {"run_eagerly": False}
    )
    history = fit(model, validation_data=X, epochs=2)
    penalty = 0.3 * float(np.square(dense(X).numpy()).sum()) / len(X)
    for prefix in ("", "val_"):
        extra = np.add(history[f"{prefix}loss"], history[f"{prefix}elbo"])
        np.testing.assert_allclose(extra, penalty, rtol=1e-5)
    model.elbo(X)
    assert np.isfinite(fit(model)["loss"][0])


# === Callbacks ===


def test_early_stopping_and_model_checkpoint_see_the_metrics(tmp_path):
    model = small.vae(compile=still())
    path = tmp_path / "best.keras"
    callbacks = [
        keras.callbacks.EarlyStopping("val_elbo", mode="max", patience=1),
        keras.callbacks.ModelCheckpoint(path, "val_loss", save_best_only=True),
    ]
    history = fit(model, validation_data=X, epochs=5, callbacks=callbacks)
    assert len(history["loss"]) == 2  # nothing improves at learning rate 0
    loaded = keras.saving.load_model(path)
    assert evaluate(loaded) == evaluate(model)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_run_that_was_interrupted_resumes_bit_for_bit(tmp_path):
    whole, first = small.vae(EAGER), small.vae(EAGER)
    second = small.vae(EAGER, seed=77)
    fit(whole, epochs=4)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(first, epochs=4, callbacks=[backup, Interrupt()])
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    history = fit(second, epochs=4, callbacks=[backup])
    assert len(history["loss"]) == 2
    assert small.largest_difference(whole, second) == 0


def test_tensorboard_writes_the_metrics(tmp_path):
    pytest.importorskip("tensorboard")
    fit(small.vae(), callbacks=[keras.callbacks.TensorBoard(tmp_path)])
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("events*"))
    assert b"epoch_elbo" in written


# === Precision ===


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains_near_float32(name):
    reference = small.noise_free(compile=EAGER)
    start = reference.get_weights()
    wanted = fit(reference, epochs=3)["loss"]
    with small.policy(name):
        model = small.noise_free()
        model.set_weights(start)
        found = fit(model, epochs=3)["loss"]
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    assert model.elbo(X).dtype == np.float32
    # bfloat16 keeps 8 bits, so 0.4 percent in each product; errors average out.
    np.testing.assert_allclose(found, wanted, rtol=0.01)


@pytest.mark.slow
def test_mixed_float16_scales_the_loss_and_applies_the_steps():
    with small.policy("mixed_float16"):
        model = small.noise_free()
        fit(model, epochs=2)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert int(model.optimizer.inner_optimizer.iterations.value) == 8


@pytest.mark.slow
def test_float64_policy_computes_everything_in_float64():
    reference = small.noise_free(compile=EAGER)
    start = reference.get_weights()
    wanted = fit(reference, epochs=2)["loss"]
    with small.policy("float64"):
        model = small.noise_free(compile=EAGER)
        model.set_weights(start)
        np.testing.assert_allclose(fit(model, epochs=2)["loss"], wanted, rtol=1e-5)
        assert model.elbo(X).dtype == np.float64
        assert model.sample(2, seed=0).dtype == np.float64
    assert all(v.dtype == "float64" for v in model.trainable_variables)


# === Seeds ===


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    def run(seed):
        keras.utils.set_random_seed(seed)
        model = kvae.VAE.for_data(X, latent_dim=2)
        model.compile("adam", run_eagerly=True)
        return model.fit(X, epochs=2, verbose=0).history["loss"]

    assert run(3) == run(3)
    assert run(3) != run(4)


@pytest.mark.slow
def test_two_models_in_one_process_do_not_disturb_each_other():
    alone, together = small.vae(EAGER), small.vae(EAGER)
    other = small.vae(EAGER, seed=9)
    fit(alone, epochs=2)
    for _ in range(2):
        fit(together)
        fit(other)
    assert small.largest_difference(alone, together) == 0
    assert small.largest_difference(alone, other) > 0


# === Refusals ===


def test_compile_takes_no_targets():
    model = small.vae()
    for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
        with pytest.raises(ValueError, match="takes neither loss nor metrics"):
            model.compile("adam", **{name: ["mse"]})


def test_a_schedule_of_the_objective_is_a_metric():
    beta = kvae.schedules.LinearWarmup(steps=8)
    model = small.vae(EAGER, objective=kvae.objectives.ELBO(beta=beta))
    history = fit(model, epochs=3)
    # Step s has the weight s / 8; an epoch of 4 steps reports their mean.
    np.testing.assert_allclose(history["beta"], [1.5 / 8, 5.5 / 8, 1.0], rtol=1e-6)
