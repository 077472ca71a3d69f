"""Missing entries: the ELBO over the observed ones, whatever stands in their place."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

import kvae
from kvae import evaluation
from kvae.core.inputs import Inputs
from kvae.noise import Noise

X = small.binary()
MASK = (np.random.default_rng(4).random(X.shape) > 0.3).astype("float32")
LIKELIHOODS = {
    "bernoulli": lambda: kvae.likelihoods.Bernoulli((small.DIM,)),
    "normal": lambda: kvae.likelihoods.Normal((small.DIM,), scale="decoder"),
}


def with_holes(value):
    return np.where(MASK == 1, X, np.float32(value))


def distortion(model, data):
    """-log p of the observed entries at the draws of the model, in float64 numpy."""
    noise = Noise(tf.constant([0, 0]), tf.constant(0))
    inputs = Inputs(**{k: tf.constant(v) for k, v in data.items()})
    draw = model.draw(inputs, noise, 1, training=False)
    logits = draw.likelihood["logits"][0].numpy().astype("float64")
    entries = X * logits - np.logaddexp(0, logits)
    return -(MASK * entries).sum(axis=1)


def test_the_elbo_sums_over_observed_entries_only():
    model = small.vae()
    data = {"x": with_holes(0), "mask": MASK}
    found = kvae.model.endpoints.score(
        model, Inputs(**{k: tf.constant(v) for k, v in data.items()}), [0, 0]
    )
    np.testing.assert_allclose(found["distortion"], distortion(model, data), rtol=1e-5)


def test_a_mask_of_ones_is_no_mask():
    model = small.vae()
    masked = model.elbo({"x": X, "mask": np.ones_like(X)})
    np.testing.assert_array_equal(masked, model.elbo(X))


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_what_stands_in_a_missing_entry_does_not_matter(name):
    def step(value):
        keras.utils.set_random_seed(2)
        model = small.vae(likelihood=LIKELIHOODS[name](), compile={"run_eagerly": True})
        data = {"x": with_holes(value), "mask": MASK}
        history = model.fit(data, batch_size=50, shuffle=False, verbose=0).history
        return small.weights(model), history["loss"], model.elbo(data)

    weights, loss, elbo = step(0.5)
    assert np.isfinite(loss).all()
    for filler in (np.nan, 1e30, -7.0):
        other_weights, other_loss, other_elbo = step(filler)
        assert loss == other_loss
        np.testing.assert_array_equal(elbo, other_elbo)
        for a, b in zip(weights, other_weights, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_mask_may_be_of_any_dtype():
    model = small.vae()
    wanted = model.elbo({"x": with_holes(np.nan), "mask": MASK})
    for dtype in ("bool", "int32", "float32", "float64"):
        found = model.elbo({"x": with_holes(np.nan), "mask": MASK.astype(dtype)})
        np.testing.assert_array_equal(found, wanted, err_msg=dtype)


def test_bits_are_per_observed_entry():
    model = small.vae()
    data = {"x": with_holes(0), "mask": MASK}
    logs = model.evaluate(data, batch_size=2, verbose=0, return_dict=True)
    observed = np.sum(MASK) / len(MASK)
    assert 0 < observed < MASK[0].size
    wanted = -logs["elbo"] / (np.log(2) * observed)
    np.testing.assert_allclose(logs["bits_per_dim"], wanted, rtol=1e-5)
    for result in (
        evaluation.elbo(model, data, 2),
        evaluation.log_likelihood(model, data, 2),
    ):
        mean = result.elbo if hasattr(result, "elbo") else result.log_likelihood
        wanted = -mean.value / (np.log(2) * observed)
        np.testing.assert_allclose(result.bits_per_dim, wanted, rtol=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_masked_arrays_go_through_fit_evaluate_predict_and_datasets():
    model = small.vae()
    data = {"x": with_holes(np.nan), "mask": MASK}
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(16)
    options = {"validation_data": data, "shuffle": False, "verbose": 0}
    history = model.fit(dataset, **options).history
    assert np.isfinite([history["loss"], history["val_loss"]]).all()
    predicted = model.predict(data, verbose=0)
    np.testing.assert_allclose(predicted, model.reconstruct(data), rtol=1e-5)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (MASK[:, :3], "mask must have the shape of x"),
        (MASK * 2, "mask must hold only 1"),
        (MASK[:10], "one row per example; received 50 and 10"),
    ],
)
def test_a_wrong_mask_is_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        small.vae().elbo({"x": X, "mask": mask})
