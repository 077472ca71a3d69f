"""A deep latent model: the two-level case has a closed form to compare with."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import kvae
from kvae import likelihoods, networks, objectives, posteriors, priors


def make_vae(dims=(3, 2), dtype="float64", seed=0):
    keras.utils.set_random_seed(seed)
    prior = priors.Hierarchical(dims, units=(8,), activation="tanh", dtype=dtype)
    for weight in prior.trainable_weights:  # away from the standard normal it starts at
        weight.assign_add(0.3 * np.random.normal(size=weight.shape))
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        decoder = keras.Sequential(
            [
                keras.Input((sum(dims),)),
                networks.TakeFirst(dims[0]),
                keras.layers.Dense(6, "tanh"),
            ]
        )
        return kvae.VAE(
            networks.mlp((5,), (7,)),
            decoder,
            posteriors.TopDown(dims, units=(6,), dtype=dtype),
            likelihoods.Bernoulli((5,), dtype=dtype),
            prior,
            objectives.ELBO(kl="sampled"),
            seed=0,
        )
    finally:
        keras.config.set_dtype_policy(previous)


@pytest.fixture
def vae():
    return make_vae()


@pytest.fixture
def x():
    return np.random.default_rng(1).integers(0, 2, (4, 5)).astype("float64")


def test_joined_level_is_the_normalized_product_of_two_normals(vae, x):
    params = vae.posterior(vae.encoder(x))
    top = np.random.default_rng(2).normal(size=(4, 2))
    loc_p, scale_p = (np.asarray(v) for v in vae.prior.level(0, tf.constant(top)))
    loc_x, scale_x = (
        np.asarray(params["loc"])[:, :3],
        np.asarray(params["scale"])[:, :3],
    )
    precision = scale_p**-2 + scale_x**-2
    loc = (loc_p * scale_p**-2 + loc_x * scale_x**-2) / precision
    z_low = np.random.default_rng(3).normal(size=(4, 3))
    z = tf.constant(np.concatenate([z_low, top], axis=1))
    got = vae.posterior.level_log_probs(params, z)
    expected = stats.norm.logpdf(z_low, loc, precision**-0.5).sum(axis=1)
    np.testing.assert_allclose(got[0], expected, rtol=1e-10)
    expected_top = stats.norm.logpdf(
        top, np.asarray(params["loc"])[:, 3:], np.asarray(params["scale"])[:, 3:]
    ).sum(axis=1)
    np.testing.assert_allclose(got[1], expected_top, rtol=1e-10)


def test_levels_of_posterior_and_prior_add_up_to_the_whole(vae, x):
    params = vae.posterior(vae.encoder(x))
    z = vae.posterior.sample(
        params, tf.random.stateless_normal((3, 4, 5), [1, 2], dtype="float64")
    )
    for part, total in (
        (vae.posterior.level_log_probs(params, z), vae.posterior.log_prob(params, z)),
        (vae.prior.level_log_probs(z), vae.prior.log_prob(vae.prior(None), z)),
    ):
        np.testing.assert_allclose(tf.add_n(part), total, rtol=1e-9)


def test_density_with_the_draw_equals_density_of_any_point(vae, x):
    params = vae.posterior(vae.encoder(x))
    noise = tf.random.stateless_normal((3, 4, 5), [1, 2], dtype="float64")
    z, log_q = vae.posterior.sample_and_log_prob(params, noise)
    np.testing.assert_allclose(log_q, vae.posterior.log_prob(params, z), rtol=1e-8)


def test_prior_density_integrates_to_one_over_a_grid():
    prior = priors.Hierarchical((1, 1), units=(4,), dtype="float64")
    for weight in prior.trainable_weights:
        weight.assign_add(np.random.default_rng(0).normal(0, 0.5, weight.shape))
    axis = np.linspace(-9, 9, 361)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    mass = (
        np.exp(prior.log_prob(prior(None), tf.constant(grid))).sum()
        * (axis[1] - axis[0]) ** 2
    )
    assert abs(mass - 1) < 1e-3


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_rates_of_the_levels_are_reported_and_add_up(x):
    vae = make_vae(dtype="float32")
    vae.compile()
    history = vae.fit(
        x.astype("float32"), validation_data=x.astype("float32"), verbose=0
    )
    for prefix in ("", "val_"):
        logs = {
            k.removeprefix(prefix): v[0]
            for k, v in history.history.items()
            if k.startswith(prefix) and (prefix or not k.startswith("val_"))
        }
        assert logs["rate_1"] + logs["rate_2"] == pytest.approx(logs["rate"], rel=1e-4)


def test_a_level_without_news_from_the_data_stays_at_its_prior(vae, x):
    params = vae.posterior(vae.encoder(x))
    vague = {**params, "scale": tf.fill((4, 5), tf.constant(1e8, tf.float64))}
    z = tf.constant(np.random.default_rng(3).normal(size=(4, 5)))
    log_q = vae.posterior.level_log_probs(vague, z)[0]
    np.testing.assert_allclose(log_q, vae.prior.level_log_probs(z)[0], rtol=1e-6)


def test_decoder_sees_the_lowest_level_alone(vae):
    z = np.random.default_rng(0).normal(size=(4, 5))
    other = z.copy()
    other[:, 3:] += 1
    np.testing.assert_array_equal(
        vae.decode(z).distribution.logits, vae.decode(other).distribution.logits
    )


def test_save_and_load_keep_every_value(vae, x, tmp_path):
    vae.save(tmp_path / "deep.keras")
    loaded = keras.saving.load_model(tmp_path / "deep.keras")
    np.testing.assert_allclose(loaded.elbo(x), vae.elbo(x), rtol=1e-12)


def test_another_prior_is_refused():
    with pytest.raises(ValueError, match=r"needs the prior priors\.Hierarchical"):
        kvae.VAE(
            networks.mlp((5,), (7,)),
            networks.mlp((3,), (7,), role="decoder"),
            posteriors.TopDown((2, 1)),
            likelihoods.Bernoulli((5,)),
            priors.StandardNormal(3),
        )


@pytest.mark.parametrize("dims", [(3,), (3, 0), 5, (2.0, 1)])
def test_levels_must_be_two_positive_integers_or_more(dims):
    for part in (priors.Hierarchical, posteriors.TopDown):
        with pytest.raises(ValueError, match="two or more positive integers"):
            part(dims)
