import itertools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

import kvae
from kvae.core.inputs import Inputs
from kvae.noise import Noise
from kvae.objectives import ELBO, IWAE, MMD


def log_weights(parts):
    draw = parts.draw
    return (draw.log_likelihood + draw.log_prior - draw.log_posterior).numpy()


def test_one_sample_is_the_elbo(linear_gaussian, x):
    iwae = linear_gaussian.parts(IWAE(1), x)
    elbo = linear_gaussian.parts(ELBO(kl="sampled"), x)
    np.testing.assert_allclose(
        iwae.data_term + iwae.kl_term, elbo.data_term + elbo.kl_term, rtol=1e-12
    )
    np.testing.assert_allclose(iwae.metrics["iwae_bound"], elbo.elbo, rtol=1e-12)


def test_bounds_climb_to_the_log_evidence(linear_gaussian, x):
    """ELBO < IWAE(5) < IWAE(50) < log p(x), each gap several standard errors wide."""
    copies = np.repeat(x[:1], 4000, axis=0)
    bounds = [
        linear_gaussian.parts(IWAE(k), copies, seed=k).metrics["iwae_bound"].numpy()
        for k in (1, 5, 50)
    ]
    means = [b.mean() for b in bounds] + [linear_gaussian.log_evidence(x[0])]
    errors = [b.std(ddof=1) / len(copies) ** 0.5 for b in bounds] + [0.0]
    for low, high in itertools.pairwise(range(4)):
        gap = means[high] - means[low]
        assert gap > 4 * np.hypot(errors[low], errors[high]), (means, errors)


@pytest.mark.parametrize(("groups", "weight"), [(1, 0.0), (3, 0.0), (3, 0.25)])
def test_bound_is_the_numpy_form(linear_gaussian, x, groups, weight):
    parts = linear_gaussian.parts(IWAE(4, groups=groups, elbo_weight=weight), x)
    log_w = log_weights(parts)
    each = [logsumexp(g, axis=0) - np.log(4) for g in np.split(log_w, groups)]
    expected = (1 - weight) * np.mean(each, axis=0) + weight * log_w.mean(axis=0)
    np.testing.assert_allclose(-parts.data_term, expected, rtol=1e-12)
    np.testing.assert_allclose(parts.elbo, log_w.mean(axis=0), rtol=1e-12)


def gradients(model, objective, x, variables, repeats, batch=40):
    """Independent gradient estimates of the loss at one x: (repeats, parameters)."""
    copies = tf.constant(np.repeat(x[:1], batch, axis=0))

    @tf.function
    def estimate(step):
        with tf.GradientTape() as tape:
            noise = Noise(tf.stack([objective.num_samples, step]))
            parts = objective.parts(model.vae, Inputs(copies), noise, True)
            loss = tf.reduce_mean(parts.data_term + parts.kl_term)
        found = tape.gradient(loss, variables)
        return tf.concat([tf.reshape(g, [-1]) for g in found], axis=0)

    return np.stack([estimate(tf.constant(i)).numpy() for i in range(repeats)])


def z_scores(first, second):
    """Gap of the means over its standard error, where there is any gradient at all."""
    error = np.sqrt(
        first.var(axis=0, ddof=1) / len(first)
        + second.var(axis=0, ddof=1) / len(second)
    )
    gap = first.mean(axis=0) - second.mean(axis=0)
    return np.where(error > 1e-12, gap / np.maximum(error, 1e-12), gap / 1e-12)


def test_plain_gradient_is_the_finite_difference(linear_gaussian, x):
    objective = IWAE(5)
    variable = linear_gaussian.encoder_variables[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(linear_gaussian.parts(objective, x).data_term)
    gradient = tape.gradient(loss, variable).numpy()
    value, step = variable.numpy(), 1e-6
    ends = []
    for sign in (1, -1):
        moved = value.copy()
        moved[0, 0] += sign * step
        variable.assign(moved)
        ends.append(float(np.mean(linear_gaussian.parts(objective, x).data_term)))
    assert gradient[0, 0] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)


@pytest.mark.parametrize(
    ("config", "biased"),
    [
        ({"num_samples": 1, "gradient": "stl"}, False),
        pytest.param(
            {"num_samples": 5, "gradient": "stl"}, True, marks=pytest.mark.slow
        ),
        pytest.param(
            {"num_samples": 5, "gradient": "dreg"}, False, marks=pytest.mark.slow
        ),
        (
            {"num_samples": 3, "gradient": "dreg", "groups": 2, "elbo_weight": 0.3},
            False,
        ),
    ],
    ids=["stl-1", "stl-5", "dreg-5", "dreg-groups"],
)
def test_encoder_gradient_agrees_with_brute_force(linear_gaussian, x, config, biased):
    """z-scores against many plain gradients; STL is known to be biased for K > 1."""
    variables = linear_gaussian.encoder_variables
    plain = gradients(
        linear_gaussian, IWAE(**{**config, "gradient": "plain"}), x, variables, 600
    )
    other = gradients(linear_gaussian, IWAE(**config), x, variables, 300)
    worst = np.abs(z_scores(plain, other)).max()
    assert (worst > 8) if biased else (worst < 5), worst
    # The design half: an estimator without the second weight would have been seen.
    error = np.sqrt(plain.var(axis=0, ddof=1).sum() / len(plain))
    assert error < 0.1 * np.linalg.norm(plain.mean(axis=0))


@pytest.mark.slow
def test_a_flow_is_held_still_with_its_weights(linear_gaussian_flow, x):
    """With log q of the flow's own weights not stopped, the z-scores would be huge."""
    variables = linear_gaussian_flow.encoder_variables
    plain, dreg = (
        gradients(linear_gaussian_flow, IWAE(3, kind), x, variables, 300)
        for kind in ("plain", "dreg")
    )
    assert np.abs(z_scores(plain, dreg)).max() < 5
    error = np.sqrt(plain.var(axis=0, ddof=1).sum() / len(plain))
    assert error < 0.2 * np.linalg.norm(plain.mean(axis=0))


@pytest.mark.slow
def test_weights_that_q_shares_with_the_prior_get_the_plain_gradient(float64):
    """With log q of those weights not stopped, the z-score would be 9."""
    keras.utils.set_random_seed(1)
    vae = kvae.VAE(
        kvae.networks.mlp((6,), (8,)),
        kvae.networks.mlp((4,), (8,), role="decoder"),
        kvae.posteriors.TopDown((2, 2), units=(8,)),
        kvae.likelihoods.Bernoulli((6,)),
        prior=kvae.priors.Hierarchical((2, 2), units=(8,)),
        objective=IWAE(5),
        seed=0,
    )
    rng = np.random.default_rng(0)
    x = (rng.random((1, 6)) < 0.5).astype("float64")
    vae.build((None, 6))
    shared = vae.prior.trainable_variables
    for variable in shared + vae.posterior.trainable_variables:
        variable.assign(variable + 0.5 * rng.normal(size=variable.shape))
    model = types.SimpleNamespace(vae=vae)
    values = [variable.value for variable in shared]
    plain, dreg = (
        gradients(model, IWAE(5, kind), x, values, 150, batch=64)
        for kind in ("plain", "dreg")
    )
    assert np.abs(z_scores(plain, dreg)).max() < 5


@pytest.mark.parametrize("gradient", ["stl", "dreg"])
def test_a_term_that_is_added_at_the_latents_gets_its_own_gradient(
    linear_gaussian, x, gradient
):
    def of_the_term(kind):
        with tf.GradientTape() as tape:
            whole = linear_gaussian.parts(MMD(IWAE(5, kind), 1.0), x).data_term
            bound = linear_gaussian.parts(IWAE(5, kind), x).data_term
            term = tf.reduce_sum(whole - bound)
        found = tape.gradient(term, linear_gaussian.encoder_variables)
        return np.concatenate([g.numpy().ravel() for g in found])

    plain = of_the_term("plain")
    assert np.abs(plain).max() > 1e-3
    np.testing.assert_allclose(of_the_term(gradient), plain, rtol=1e-8, atol=1e-12)


def test_dreg_has_the_lower_variance(linear_gaussian, x):
    variables = linear_gaussian.encoder_variables
    plain, dreg = (
        gradients(linear_gaussian, IWAE(20, kind), x, variables, 150, batch=8)
        for kind in ("plain", "dreg")
    )
    assert dreg.var(axis=0).sum() < 0.5 * plain.var(axis=0).sum()


@pytest.mark.parametrize("gradient", ["stl", "dreg"])
def test_decoder_gradient_is_the_plain_one(linear_gaussian, x, gradient):
    def gradient_of(kind):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(linear_gaussian.parts(IWAE(5, kind), x).data_term)
        return tape.gradient(loss, linear_gaussian.decoder_variables)

    for ours, plain in zip(gradient_of(gradient), gradient_of("plain"), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"num_samples": 0},
            "num_samples must be an integer from 1",
        ),
        ({"groups": 1.5}, "groups must be an integer from 1 to 1048576; received 1.5"),
        ({"gradient": "dregs"}, "one of .*received 'dregs'"),
        ({"elbo_weight": 2}, r"elbo_weight in \[0, 1\]; received 2"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        IWAE(**arguments)
