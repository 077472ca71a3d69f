"""Laws that every likelihood obeys, whatever its formula."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance.likelihood_specimens import SPECIMENS

import kvae
from kvae.core.inputs import Inputs
from kvae.likelihoods import Likelihood
from kvae.model import endpoints
from kvae.networks import mlp

EVERY = pytest.mark.parametrize("specimen", SPECIMENS, ids=str)
FIRST = list({s.cls: s for s in reversed(SPECIMENS)}.values())
EACH_CLASS_FAST = [
    pytest.param(s, id=str(s), marks=[] if s in FIRST else pytest.mark.slow)
    for s in SPECIMENS
]

# A value that no entry may take; columns of every kind refuse infinity.
OUTSIDE = {
    "Bernoulli": 1.5,
    "ContinuousBernoulli": -0.01,
    "DiscretizedLogistic": 0.05,
    "DiscretizedLogisticMixture": 0.05,
    "Binomial": 256,
    "Categorical": -1,
    "PixelCNN": 0.3,
    "Poisson": 2.5,
    "NegativeBinomial": -1,
    "ZeroInflatedNegativeBinomial": 0.5,
}


def features(seed, batch=6, dtype="float32", spread=1.0):
    rng = np.random.default_rng(seed)
    return tf.constant(spread * rng.normal(size=(batch, 5)), dtype)


def made(specimen, dtype="float32") -> Likelihood:
    keras.utils.set_random_seed(0)
    part = specimen.cls(**specimen.config, dtype=dtype)
    part(features(0, dtype=dtype))
    return part


def data(specimen, n=6):
    return specimen.data(np.random.default_rng(1), n)


@EVERY
def test_config_round_trip_and_saved_weights_give_the_same_densities(specimen):
    part, x = made(specimen), data(specimen)
    again = type(part).from_config(json.loads(json.dumps(part.get_config())))
    again(features(0))
    again.set_weights(part.get_weights())
    np.testing.assert_array_equal(
        part.log_prob(part(features(2)), x), again.log_prob(again(features(2)), x)
    )
    assert again.get_config() == part.get_config()


@EVERY
def test_leading_axes_broadcast(specimen):
    part, x = made(specimen), data(specimen)
    draws = [part(features(seed)) for seed in (3, 4)]
    stacked = {name: tf.stack([d[name] for d in draws]) for name in draws[0]}
    together = part.log_prob(stacked, x)
    assert together.shape == (2, 6)
    for k in (0, 1):
        np.testing.assert_allclose(
            together[k], part.log_prob(draws[k], x), rtol=1e-5, atol=1e-5
        )
    assert part.mean(stacked).shape == (2, 6, *part.data_shape)


@EVERY
def test_float32_agrees_with_float64(specimen):
    x = data(specimen)
    double = made(specimen, "float64")
    single = made(specimen)
    single.set_weights(double.get_weights())
    params = double(features(5, dtype="float64"))
    rounded = {name: tf.cast(value, "float32") for name, value in params.items()}
    exact = {name: tf.cast(value, "float64") for name, value in rounded.items()}
    a, b = double.log_prob(exact, x).numpy(), single.log_prob(rounded, x).numpy()
    assert a.dtype == np.float64
    assert b.dtype == np.float32
    np.testing.assert_allclose(b, a, rtol=3e-6, atol=1e-4)


@EVERY
@pytest.mark.parametrize("spread", [30.0, 1e5])
def test_extreme_features_give_finite_log_probs_and_gradients(specimen, spread):
    part, x = made(specimen), data(specimen)
    inputs = features(6, spread=spread)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        log_prob = part.log_prob(part(inputs), x)
    gradients = tape.gradient(log_prob, [inputs, *part.trainable_variables])
    assert np.isfinite(log_prob).all()
    for gradient in gradients:
        assert np.isfinite(gradient).all()


@EVERY
def test_masked_entries_may_hold_nan_and_leave_no_trace(specimen):
    part, x = made(specimen), data(specimen).astype("float32")
    mask = np.random.default_rng(2).integers(0, 2, x.shape)
    if specimen.chained:
        with pytest.raises(ValueError, match="no entry can be missing"):
            part.log_prob(part(features(7)), x, mask)
        return
    broken = np.where(mask, x, np.nan).astype("float32")
    other = np.where(mask, x, data(specimen)[::-1]).astype("float32")
    results = []
    for seen in (broken, other):
        inputs = features(7)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            log_prob = part.log_prob(part(inputs), seen, mask)
        gradient = tape.gradient(log_prob, inputs)
        assert np.isfinite(log_prob).all()
        assert np.isfinite(gradient).all()
        results.append((log_prob.numpy(), gradient.numpy()))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    nothing = part.log_prob(part(features(7)), broken, np.zeros_like(mask))
    np.testing.assert_allclose(nothing, np.zeros(6), atol=1e-6)


@EVERY
def test_nan_that_is_not_masked_stays_visible(specimen):
    part, x = made(specimen), data(specimen).astype("float32")
    x[2, ..., -1] = np.nan
    log_prob = part.log_prob(part(features(7)), x).numpy()
    assert list(np.isnan(log_prob)) == [False, False, True, False, False, False]


@EVERY
def test_outside_the_support_is_minus_infinity_and_refused(specimen):
    part, x = made(specimen), data(specimen).astype("float64")
    part.check_support(x)
    for value in (OUTSIDE.get(specimen.cls.__name__, np.inf), -np.inf, np.inf):
        bad = x.copy()
        bad[3, ..., 0] = value
        inputs = features(7)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            log_prob = part.log_prob(part(inputs), bad)
            rest = tf.reduce_sum(tf.gather(log_prob, [0, 1, 2, 4, 5]))
        assert log_prob[3] == -np.inf
        assert np.isfinite(rest)
        assert np.isfinite(tape.gradient(rest, inputs)).all()
        with pytest.raises(ValueError, match="received"):
            part.check_support(bad)
        mask = np.ones(bad.shape)
        mask[3, ..., 0] = 0
        part.check_support(bad, mask)
        if specimen.chained:
            continue
        assert np.isfinite(part.log_prob(part(inputs), bad, mask)).all()


@EVERY
def test_samples_lie_in_the_support_and_average_to_the_mean(specimen):
    part = made(specimen)
    params = part(features(8, spread=0.5))
    draws = part.distribution(params).sample(4000, seed=[1, 2]).numpy()
    assert draws.shape == (4000, 6, *part.data_shape)
    assert draws.dtype == np.float32
    assert np.all(part.supports(draws))
    if specimen.chained:
        return
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    gap = np.abs(draws.mean(axis=0, dtype="float64") - part.mean(params))
    np.testing.assert_array_less(gap, 5 * error + 1e-6)


@EVERY
def test_distribution_and_log_prob_are_the_same_density(specimen):
    part = made(specimen, "float64")
    params = part(features(9, dtype="float64"))
    distribution = part.distribution(params)
    assert tuple(distribution.batch_shape) == (6,)
    assert tuple(distribution.event_shape) == part.data_shape
    x = distribution.sample(seed=[3, 4])
    np.testing.assert_allclose(
        distribution.log_prob(x), part.log_prob(params, x), rtol=1e-6, atol=1e-6
    )


@EVERY
def test_no_sample_is_more_probable_than_the_mode(specimen):
    part = made(specimen, "float64")
    params = part(features(10, dtype="float64"))
    if specimen.chained or specimen.cls is kvae.likelihoods.DiscretizedLogisticMixture:
        with pytest.raises(NotImplementedError, match="Show mean"):
            part.mode(params)
        return
    mode = part.mode(params)
    assert mode.shape == (6, *part.data_shape)
    assert np.all(part.supports(mode))
    best = part.entry_log_prob(params, mode)
    x = part.distribution(params).sample(200, seed=[4, 5])
    assert np.all(part.entry_log_prob(params, x) <= best + 1e-9)


@pytest.mark.parametrize("specimen", EACH_CLASS_FAST)
def test_a_short_fit_learns(specimen):
    keras.utils.set_random_seed(0)
    x = specimen.data(np.random.default_rng(3), 64)
    if x.dtype.kind == "i":
        x = np.minimum(x, 300)
    part = specimen.cls(**specimen.config)
    vae = kvae.VAE(
        mlp(part.data_shape, (16,)),
        mlp((2,), (16,), role="decoder"),
        kvae.posteriors.DiagonalNormal(2),
        part,
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    inputs = Inputs(tf.constant(x, "float32"))
    before = endpoints.score(vae, inputs, [0, 0])["elbo"]
    history = vae.fit(x, epochs=2, batch_size=64, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    after = endpoints.score(vae, inputs, [0, 0])["elbo"]  # of the same noise
    assert np.mean(after) > np.mean(before)
