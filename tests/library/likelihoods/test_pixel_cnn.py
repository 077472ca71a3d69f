"""Pixels given those before them: exact by counting all pictures of a few pixels."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvae
from kvae import likelihoods, networks


def made(shape=(2, 3), inner=None, dtype="float64", **arguments):
    """A likelihood with random weights, and what it gets from two z."""
    keras.utils.set_random_seed(0)
    inner = likelihoods.Bernoulli(shape, dtype=dtype) if inner is None else inner
    arguments = {"width": 5, "layers": 1, "kernel_size": 3} | arguments
    part = likelihoods.PixelCNN(inner, dtype=dtype, **arguments)
    features = tf.random.stateless_normal((2, 4), [1, 2], dtype=dtype)
    part(features)
    rng = np.random.default_rng(0)
    for weight in part.trainable_variables:
        weight.assign_add(rng.normal(size=weight.shape))
    return part, part(features)


LINEAR = pytest.mark.parametrize("linear", [False, True])


@LINEAR
def test_probabilities_of_all_pictures_add_up_to_one(linear):
    part, params = made(linear=linear)
    every = np.array(list(itertools.product((0.0, 1.0), repeat=6))).reshape(-1, 1, 2, 3)
    log_prob = part.log_prob(params, tf.constant(every))
    assert log_prob.shape == (64, 2)
    np.testing.assert_allclose(np.exp(log_prob).sum(0), 1.0, rtol=1e-9)
    assert np.exp(log_prob).max() > 0.05  # and they differ


def test_draws_have_these_probabilities():
    part, params = made()
    x = part.distribution(params).sample(4000, seed=[3, 4]).numpy()
    assert x.shape == (4000, 2, 2, 3)
    weights = 2 ** np.arange(6)
    for z in range(2):
        index = (x[:, z].reshape(-1, 6) @ weights).astype(int)
        found = np.bincount(index, minlength=64) / 4000
        every = (np.arange(64)[:, None] // weights % 2).reshape(64, 1, 2, 3)
        wanted = np.exp(part.log_prob(params, tf.constant(every, tf.float64)))[:, z]
        error = np.sqrt(wanted * (1 - wanted) / 4000) + 1e-4
        assert np.abs(found - wanted).max() < 5 * error.max()
        assert np.all(np.abs(found - wanted) < 5 * error)


@LINEAR
@pytest.mark.parametrize("shape", [(7, 6), (6, 7, 3)])
def test_a_window_gives_what_the_whole_picture_gives(shape, linear):
    """A chain of windows, beside the parameters that the finished picture has."""
    inner = likelihoods.Normal(shape, scale=0.5, dtype="float64")
    part, params = made(shape, inner, linear=linear)
    x = part.mean(params)
    whole = part.likelihood.mean(part._params(params["context"], x))
    np.testing.assert_allclose(x, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, "per_dimension"])
def test_a_pixel_is_drawn_with_the_scale_of_its_position(scale):
    """Draws of two pictures, beside the parameters given what was drawn before."""
    shape = (2, 2, 2)
    part, params = made(shape, likelihoods.Normal(shape, scale=scale, dtype="float64"))
    x = part.distribution(params).sample(500, seed=[1, 2])
    rows, pictures, _ = part._rows(params, x)
    inner = part._params(rows, pictures)
    scales = np.broadcast_to(inner["scale"], inner["loc"].shape)
    if scale == "per_dimension":
        assert np.ptp(scales[0]) > 0.1
    z = ((pictures - inner["loc"]) / scales).numpy().reshape(1000, 8)
    assert np.abs(z.mean(0)).max() < 5 / np.sqrt(1000)
    assert np.abs(np.square(z).mean(0) - 1).max() < 5 * np.sqrt(2 / 1000)


@LINEAR
def test_a_pixel_depends_on_the_window_before_it_alone(linear):
    part, params = made((6, 7), linear=linear)
    x = tf.Variable(tf.random.stateless_uniform((2, 6, 7), [1, 2], dtype=tf.float64))
    with tf.GradientTape() as tape:
        # of the parameters, not of the density, in which x itself stands too
        logits = part._params(params["context"], x)["logits"][:, 3, 3]
    seen = np.abs(tape.gradient(logits, x)[0]) > 0
    assert part.reach == 2
    before = np.zeros((6, 7), bool)
    before[1:3, 1:6] = True
    before[3, 1:3] = True
    assert not np.any(seen & ~before)
    assert seen[3, 2]
    assert seen[2, 3]


def test_linear_features_can_repeat_the_pixel_on_the_left():
    """Independent form: the parameters are the picture, shifted by one column."""
    shape = (4, 5)
    inner = likelihoods.Normal(shape, scale=0.5, dtype="float64")
    part, params = made(shape, inner, linear=True, width=1, layers=0)
    for weight in part.trainable_variables:
        weight.assign(0.0 * weight)
    kernel = np.zeros((2, 3, 1, 1))
    kernel[1, 0] = 1.0  # the position before
    part._linear._kernel.assign(kernel)
    head = next(w for w in part.likelihood.weights if w.name == "kernel")
    head.assign(tf.ones_like(head))
    x = np.random.default_rng(0).normal(size=(2, *shape))
    loc = part._params(0.0 * params["context"], tf.constant(x))["loc"]
    np.testing.assert_allclose(loc[..., 1:], x[..., :-1])
    np.testing.assert_array_equal(loc[..., 0], 0.0)


def test_it_can_be_the_likelihood_without_it():
    part, params = made()
    for layer in (part._first, *part._hidden):
        layer.set_weights([0 * w for w in layer.get_weights()])
    x = np.random.default_rng(0).integers(0, 2, (2, 2, 3)).astype("float64")
    plain = part.likelihood(part._act(params["context"]))
    expected = part.likelihood.log_prob(plain, x)
    np.testing.assert_allclose(part.log_prob(params, x), expected)
    np.testing.assert_allclose(part.mean(params), part.likelihood.mean(plain))


def test_a_mask_and_other_likelihoods_are_refused():
    part, params = made()
    x = tf.zeros((2, 2, 3), tf.float64)
    with pytest.raises(ValueError, match="no entry can be missing"):
        part.log_prob(params, x, tf.ones_like(x))
    with pytest.raises(TypeError, match="wraps a likelihood of pixels"):
        likelihoods.PixelCNN("bernoulli")
    with pytest.raises(ValueError, match="takes pictures"):
        likelihoods.PixelCNN(likelihoods.Bernoulli((4,)))
    with pytest.raises(ValueError, match="odd kernel_size"):
        networks.MaskedConvolution(4, 2)


def test_sampling_shows_its_progress(capfd):
    keras.config.enable_interactive_logging()
    part, params = made()
    part.distribution(params).sample(seed=[1, 2])
    said = capfd.readouterr()
    assert "2/2 rows sampled" in said.out + said.err


@pytest.mark.slow
def test_it_tops_a_deep_model():
    shape = (4, 4)
    x = (np.random.default_rng(0).random((8, *shape)) < 0.3).astype("float32")
    likelihood = likelihoods.PixelCNN(likelihoods.Bernoulli(shape), 4, 1, 3)
    vae = kvae.presets.deep_vae(
        x, {1: 1, 2: 1}, width=4, features=2, likelihood=likelihood
    )
    vae.compile(run_eagerly=True)
    logs = vae.train_on_batch(x, return_dict=True)
    assert np.isfinite(logs["elbo"])
    drawn = vae.sample(3, seed=0, mean=False)
    assert drawn.shape == (3, *shape)
    assert set(np.unique(drawn)) <= {0.0, 1.0}
    np.testing.assert_array_equal(drawn, vae.sample(3, seed=0, mean=False))
