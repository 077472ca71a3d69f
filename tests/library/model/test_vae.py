import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

import kvae
from kvae.networks import mlp

X = small.binary()


@pytest.fixture(scope="module")
def vae():
    model = small.vae()
    model.fit(X, epochs=3, verbose=0)
    return model


def test_predict_and_call_and_reconstruct_are_the_same(vae):
    wanted = vae.reconstruct(X)
    assert wanted.shape == X.shape
    np.testing.assert_allclose(vae.predict(X, verbose=0), wanted, rtol=1e-6)
    np.testing.assert_allclose(vae(X), wanted, rtol=1e-6)


def test_encode_and_decode_give_distributions(vae):
    q = vae.encode(X)
    assert q.batch_shape == (50,)
    assert q.event_shape == (2,)
    p = vae.decode(q.mean())
    assert p.batch_shape == (50,)
    assert p.event_shape == (small.DIM,)
    np.testing.assert_allclose(p.mean(), vae.reconstruct(X), rtol=1e-5)


def test_the_elbo_is_the_sum_of_its_definition(vae):
    """Against distributions alone, at the same noise."""
    noise = kvae.noise.counter_normal(tf.constant([4, 0]), tf.range(50), 5, 2)
    q = vae.encode(X)
    z = q.mean() + q.stddev() * noise
    log_likelihood = tf.stack([vae.decode(draw).log_prob(X) for draw in z])
    rate = q.kl_divergence(vae.prior.distribution(vae.prior()))
    wanted = tf.reduce_mean(log_likelihood, 0) - rate
    found = vae.elbo(X, num_samples=5, seed=4)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 512])
def test_results_for_arrays_do_not_depend_on_the_batch_size(vae, batch_size):
    options = {"batch_size": batch_size}
    np.testing.assert_allclose(vae.elbo(X, **options), vae.elbo(X), rtol=1e-5)
    np.testing.assert_allclose(
        vae.encode(X, **options).mean(), vae.encode(X).mean(), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        vae.sample(9, seed=1, **options), vae.sample(9, seed=1), rtol=1e-5
    )


def test_samples_depend_on_the_seed_alone(vae):
    np.testing.assert_array_equal(vae.sample(5, seed=1), vae.sample(5, seed=1))
    np.testing.assert_allclose(vae.sample(5, seed=1), vae.sample(9, seed=1)[:5], 1e-6)
    assert np.any(vae.sample(5, seed=1) != vae.sample(5, seed=2))
    assert np.any(vae.sample(5) != vae.sample(5))


def test_temperature_zero_gives_the_center_of_the_prior(vae):
    cold = vae.sample(3, seed=0, temperature=0.0)
    center = vae.decode(np.zeros((3, 2))).mean()
    np.testing.assert_allclose(cold, center, rtol=1e-6)


def test_drawn_pixels_have_the_mean_that_the_picture_shows(vae):
    draws = vae.sample(4000, seed=0, mean=False)
    assert set(np.unique(draws)) == {0.0, 1.0}
    shown = vae.sample(4000, seed=0)
    error = np.sqrt((shown * (1 - shown)).mean(axis=0) / 4000)
    assert np.all(np.abs(draws.mean(axis=0) - shown.mean(axis=0)) < 5 * error)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v: v.sample(0), "num must be an integer of at least 1; received 0"),
        (lambda v: v.sample(2, temperature=np.nan), "temperature must be a number"),
        (lambda v: v.sample(2, temperature="hot"), "of at least 0; received 'hot'"),
        (lambda v: v.elbo(X, 0), "num_samples must be an integer of at least 1"),
        (lambda v: v.elbo(X, 1.5), "of at least 1; received 1.5"),
        (lambda v: v.decode([["a", "b"]]), "numbers as z; received string"),
        (lambda v: v.predict(X * 9, verbose=0), "max=9"),
        (lambda v: v.sample(2, seed=-1), "seed must be an integer from 0"),
        (lambda v: v.elbo(X, seed=0.5), "seed must be an integer from 0"),
        (
            lambda v: v.decode(np.zeros((3, 5))),
            r"z of shape \(N, 2\); received \(3, 5\)",
        ),
        (lambda v: v.decode(np.zeros(2)), r"z of shape \(N, 2\); received \(2,\)"),
        (lambda v: v.elbo(X[:, :2]), r"takes examples of shape \(6,\)"),
        (lambda v: v.reconstruct(X * 9), "max=9"),
        (
            lambda v: v.encode(X, batch_size=0),
            "batch_size must be an integer of at",
        ),
    ],
)
def test_wrong_arguments_are_refused(vae, call, message):
    with pytest.raises(ValueError, match=message):
        call(vae)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("encoder", "dense", "encoder must be a keras.*Layer object; received 'dense'"),
        ("posterior", keras.layers.Dense(2), "posterior must be a kvae.*Posterior"),
        ("likelihood", None, "likelihood must be a kvae.*Likelihood"),
        ("prior", "normal", "prior must be a kvae.*Prior"),
        ("objective", 1.0, "objective must be a kvae.*Objective"),
    ],
)
def test_a_part_of_the_wrong_kind_is_refused(part, value, message):
    with pytest.raises(TypeError, match=message):
        small.vae(**{part: value})


def test_latent_sizes_must_agree():
    with pytest.raises(ValueError, match="latent_dim=2 and the prior latent_dim=3"):
        small.vae(prior=kvae.priors.StandardNormal(3))


def test_inputs_that_the_networks_name_must_be_there():
    encoder = mlp((small.DIM,), (8,), condition_shape=(3,))
    with pytest.raises(ValueError, match="condition"):
        small.vae(encoder=encoder).elbo(X)


@pytest.mark.parametrize(
    ("shape", "network"),
    [((20, 7), "mlp"), ((20, 9, 11), "conv"), ((20, 8, 8, 3), "conv")],
)
def test_for_data_makes_a_model_that_trains_on_any_shape(shape, network):
    x = np.random.default_rng(0).random(shape).astype("float32")
    model = kvae.VAE.for_data(x, latent_dim=2)
    assert model.sample(2, seed=0).shape == (2, *shape[1:])
    assert isinstance(model.likelihood, kvae.likelihoods.Normal)
    model.compile("adam", run_eagerly=True)
    assert np.isfinite(model.train_on_batch(x)).all()


def test_for_data_keeps_what_is_given():
    posterior = kvae.posteriors.DiagonalNormal(3)
    model = kvae.VAE.for_data(X, posterior=posterior)
    assert model.posterior is posterior
    assert model.latent_dim == 3
    assert isinstance(model.likelihood, kvae.likelihoods.Bernoulli)


def test_one_graph_serves_every_number_of_samples(vae):
    vae.elbo(X, num_samples=2)
    graphs = dict(vae.compiled_functions._functions)
    values = [vae.elbo(X, num_samples=k) for k in range(3, 8)]
    assert vae.compiled_functions._functions == graphs
    assert all(not np.array_equal(values[0], other) for other in values[1:])


@pytest.mark.parametrize("seed", [1.7, 2**40 + 5, -1, "1", True])
def test_a_seed_that_would_be_read_as_another_is_refused(seed):
    with pytest.raises(ValueError, match="seed must be an integer from 0"):
        small.vae(seed=seed)


@pytest.mark.parametrize(
    "arguments",
    [
        {"steps_per_execution": -1},
        {"steps_per_execution": 0},
        {"steps_per_execution": 1.5},
        {"max_gradient_norm": np.nan},
        {"max_gradient_norm": 1e39},
        {"max_gradient_norm": 0},
    ],
)
def test_numbers_that_would_train_nothing_are_refused(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be"):
        small.vae().compile(**arguments)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 4)), "filled array of numbers"),
        (np.zeros(5), "filled array of numbers"),
        (np.full((3, 4), np.nan), "NaN or infinite"),
        (np.arange(12).reshape(3, 4), "integers from 0 to 11, which may be counts"),
    ],
)
def test_for_data_refuses_what_no_network_fits(x, message):
    with pytest.raises(ValueError, match=message):
        kvae.VAE.for_data(x)


def test_for_data_refuses_a_latent_size_of_zero():
    with pytest.raises(ValueError, match="latent_dim to be a positive integer"):
        kvae.VAE.for_data(X, latent_dim=0)
