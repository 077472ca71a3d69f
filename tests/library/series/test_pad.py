"""Ragged series: what is padded never counts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvae
from kvae.series import pad

RNG = np.random.default_rng(0)
LENGTHS = (9, 4, 6, 9, 5)
RAGGED = [RNG.normal(3.0, 2.0, (n, 2)).astype("float32") for n in LENGTHS]


def test_lists_ragged_tensors_and_lengths_are_padded_alike():
    found = pad(RAGGED)
    assert found["x"].shape == found["mask"].shape == (5, 9, 2)
    for i, row in enumerate(RAGGED):
        np.testing.assert_array_equal(found["x"][i, : len(row)], row)
        assert (found["x"][i, len(row) :] == 0).all()
        assert (found["mask"][i] == (np.arange(9) < len(row))[:, None]).all()
    tensor = tf.ragged.constant([r.tolist() for r in RAGGED], ragged_rank=1)
    junk = np.where(found["mask"] == 1, found["x"], 99.0)
    for other in (pad(tensor), pad(junk, lengths=np.array(LENGTHS))):
        np.testing.assert_array_equal(other["mask"], found["mask"])
        np.testing.assert_allclose(other["x"], found["x"], rtol=1e-6)
    assert pad(RAGGED, steps=12)["x"].shape == (5, 12, 2)


def test_nan_counts_as_missing():
    found = pad([[1.0, np.nan, 3.0], [4.0]])
    np.testing.assert_array_equal(found["mask"], [[1, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(found["x"], [[1, 0, 3], [4, 0, 0]])


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        (RAGGED, {"steps": 8}, "series 0 has 9 steps, more than steps=8"),
        (np.zeros((3, 4)), {}, "a list of series, .* received ndarray"),
        (np.zeros((3, 4)), {"lengths": [4, 5, 1]}, "integers up to the T"),
        (np.zeros((3, 4)), {"lengths": [4, 1]}, r"lengths \(N,\)"),
        ([np.zeros((3, 2)), np.zeros((3, 1))], {}, "same features.*at position 1"),
        (["ab"], {}, "of numbers"),
        ([], {}, "a list of series"),
    ],
)
def test_what_cannot_be_padded_is_refused(series, options, message):
    with pytest.raises(ValueError, match=message):
        pad(series, **options)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    vae = kvae.VAE.for_data(pad(RAGGED), latent_dim=2, data_kind="series", seed=1)
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


def test_a_model_of_ragged_series_is_told_what_is_missing(model):
    assert "told which entries are missing" in model.reasons["encoder"]
    assert set(model.encoder.input) == {"x", "mask"}
    # Units are those of observed entries: zeros would pull the mean from 3 toward 2.
    values = np.concatenate(RAGGED)
    at = model.likelihood._units.neutral
    np.testing.assert_allclose(at, values.mean(), atol=0.25 * values.std())


def test_padded_entries_never_count(model):
    inputs = pad(RAGGED)
    junk = {**inputs, "x": np.where(inputs["mask"] == 1, inputs["x"], 1e6)}
    np.testing.assert_array_equal(model.elbo(junk), model.elbo(inputs))
    # The distortion is that of the observed entries alone, by the density of a normal.
    z = model.embed(inputs)
    params = model.likelihood_params(tf.convert_to_tensor(z))
    entries = model.likelihood.entry_log_prob(params, inputs["x"])
    expected = (np.asarray(entries) * inputs["mask"]).sum(axis=(1, 2))
    found = model.likelihood.log_prob(params, inputs["x"], inputs["mask"])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    losses = [model.evaluate(x, verbose=0, return_dict=True) for x in (inputs, junk)]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_fit_and_complete_take_ragged_series(model):
    inputs = pad(RAGGED)
    model.fit(inputs, epochs=2, verbose=0)
    found = model.complete(inputs, num=3, num_candidates=8).x
    visible = np.repeat(inputs["mask"][:, None] == 1, 3, axis=1)
    given = np.repeat(inputs["x"][:, None], 3, axis=1)
    np.testing.assert_array_equal(found[visible], given[visible])
    assert np.isfinite(found).all()
