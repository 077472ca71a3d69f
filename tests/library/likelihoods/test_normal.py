import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from support.likelihood_checks import assert_draws_follow_cdf, doubles, entries

import kvae
from kvae.likelihoods import Normal
from kvae.networks import mlp


@pytest.mark.parametrize("scale", [1e-8, 0.3, 1e8])
def test_log_prob_is_scipys(scale):
    part = Normal((1,), dtype="float64")
    x = np.array([-1e6, -2.0, 0.5, 0.5 + 1e-9, 30.0])
    np.testing.assert_allclose(
        entries(part, doubles(loc=0.5, scale=scale), x),
        stats.norm.logpdf(x, 0.5, scale),
        rtol=1e-9,
    )


def test_draws_follow_the_distribution_function():
    part = Normal((1,), dtype="float64")
    params = doubles(loc=[[0.5]], scale=[[2.0]])
    assert_draws_follow_cdf(part, params, stats.norm(0.5, 2.0).cdf)


@pytest.mark.parametrize("scale", [0.0, -1, True, "free", float("inf")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="Normal expects scale .*received"):
        Normal((1,), scale=scale)


def test_a_batch_that_overflows_does_not_stay_in_the_mean():
    part, (params, x) = optimal(), batch()
    for _ in range(2):
        part.calibrate(params, np.where(np.arange(3) == 0, 1e200, x))
    part.calibrate(params, x)
    expected = np.square(x - params["loc"]).mean()
    np.testing.assert_allclose(part._mean_square, expected, rtol=1e-9)


@pytest.mark.parametrize("scale", [np.float32(0.5), np.int64(2)])
def test_numbers_of_numpy_are_numbers(scale):
    part = Normal((3,), scale=scale)
    assert float(part(tf.zeros((1, 4)))["scale"][0, 0]) == scale
    with pytest.raises(ValueError, match="a positive number or one of"):
        Normal((3,), scale=np.ones(3))


# === scale="optimal" ===


def optimal(shape=(3,), **kwargs):
    part = Normal(shape, scale="optimal", dtype="float64", **kwargs)
    part(tf.zeros((1, 2), "float64"))
    return part


def batch(seed=0, samples=2, number=5, shape=(3,)):
    rng = np.random.default_rng(seed)
    loc = rng.normal(size=(samples, number, *shape))
    params = {"loc": tf.constant(loc), "scale": tf.ones_like(loc)}
    return params, rng.normal(size=(number, *shape))


def test_calibrated_scale_is_the_most_likely_one():
    part, (params, x) = optimal(), batch()
    best = part.calibrate(params, x)
    scale = best["scale"].numpy()
    gap = x - params["loc"].numpy()
    np.testing.assert_allclose(scale, np.full(scale.shape, np.sqrt(np.mean(gap**2))))
    top = np.mean(part.log_prob(best, x))
    for factor in (0.97, 1.03):
        other = {**best, "scale": best["scale"] * factor}
        assert np.mean(part.log_prob(other, x)) < top


def test_gradient_is_that_of_minus_half_log_mean_square():
    """The loss that the paper minimizes, with the scale inside the gradient."""
    part, (params, x) = optimal(), batch()
    loc = params["loc"]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(loc)
        ours = tf.reduce_mean(part.log_prob(part.calibrate(params, x), x))
        published = -1.5 * tf.math.log(tf.reduce_mean(tf.square(x - loc)))
    np.testing.assert_allclose(
        tape.gradient(ours, loc), tape.gradient(published, loc), rtol=1e-10
    )


@pytest.mark.parametrize("hidden", [np.nan, 1e3])
def test_masked_entries_and_weightless_examples_do_not_count(hidden):
    part, (params, x) = optimal(), batch()
    mask = np.random.default_rng(1).integers(0, 2, x.shape)
    weight = np.array([1.0, 0.0, 2.0, 1.0, 1.0])
    gap = np.where(mask, x, 0) - params["loc"].numpy()
    counted = np.broadcast_to(mask * weight[:, None], gap.shape)
    expected = np.sqrt(np.sum(counted * gap**2) / np.sum(counted))
    best = part.calibrate(params, np.where(mask, x, hidden), mask, weight)
    np.testing.assert_allclose(best["scale"].numpy().ravel()[0], expected)


def test_a_batch_without_observations_changes_nothing():
    part, (params, x) = optimal(), batch()
    part.calibrate(params, x)
    before = part(tf.zeros((1, 2), "float64"))["scale"].numpy()
    best = part.calibrate(params, x * np.nan, np.zeros(x.shape))
    np.testing.assert_allclose(best["scale"].numpy().ravel()[0], before[0, 0])
    np.testing.assert_allclose(part(tf.zeros((1, 2), "float64"))["scale"], before)


def test_a_perfect_fit_stops_at_min_scale():
    part, (params, _) = optimal(min_scale=0.01), batch(samples=1)
    best = part.calibrate(params, params["loc"][0])
    np.testing.assert_allclose(best["scale"], np.full((1, 5, 3), 0.01))


def test_evaluation_uses_the_mean_over_the_first_batches_and_then_a_running_one():
    part = optimal()
    squares = []
    for seed in range(130):
        params, x = batch(seed)
        squares.append(np.mean((x - params["loc"].numpy()) ** 2))
        part.calibrate(params, x)
        if seed == 59:
            saved = part(tf.zeros((1, 2), "float64"))["scale"].numpy()
            np.testing.assert_allclose(
                saved, np.full((1, 3), np.sqrt(np.mean(squares)))
            )
    running = np.mean(squares[:100])
    for square in squares[100:]:
        running = 0.99 * running + 0.01 * square
    saved = part(tf.zeros((1, 2), "float64"))["scale"].numpy()
    np.testing.assert_allclose(saved, np.full((1, 3), np.sqrt(running)))


def test_frozen_likelihood_keeps_its_scale():
    part, (params, x) = optimal(), batch()
    part.trainable = False
    assert part.calibrate(params, x) is params
    np.testing.assert_allclose(
        part(tf.zeros((1, 2), "float64"))["scale"], np.ones((1, 3))
    )


def linear_data(rng, number=512, noise=0.1):
    z = rng.normal(size=(number, 1))
    return (z @ np.ones((1, 6)) + noise * rng.normal(size=(number, 6))).astype(
        "float32"
    )


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    vae = kvae.VAE(
        mlp((6,), (16,)),
        mlp((1,), (16,), role="decoder"),
        kvae.posteriors.DiagonalNormal(1),
        Normal((6,), scale="optimal"),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(0.01), steps_per_execution=8)
    x = linear_data(np.random.default_rng(0))
    vae.fit(x, epochs=80, batch_size=64, verbose=0)
    return vae


@pytest.mark.slow
def test_fit_finds_the_noise_of_the_data(trained):
    scale = trained.likelihood(trained.decoder(tf.zeros((1, 1))))["scale"]
    assert 0.09 < float(scale[0, 0]) < 0.13


@pytest.mark.slow
def test_density_of_an_example_does_not_depend_on_its_batch(trained):
    x = linear_data(np.random.default_rng(1), 8)
    together = trained.elbo(x)
    np.testing.assert_allclose(
        trained.elbo(x, batch_size=1), together, rtol=1e-4, atol=1e-4
    )
    far = trained.elbo(np.concatenate([x[:7], 100 + x[7:]]))
    np.testing.assert_allclose(far[:7], together[:7], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_evaluate_leaves_the_scale_alone_and_saving_keeps_it(trained, tmp_path):
    x = linear_data(np.random.default_rng(2), 64)
    before = trained.evaluate(x, verbose=0, return_dict=True)
    assert trained.evaluate(x, verbose=0, return_dict=True) == before
    trained.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(loaded.elbo(x), trained.elbo(x), rtol=1e-5)
