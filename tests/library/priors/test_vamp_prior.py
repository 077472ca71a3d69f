"""VampPrior against the model's own posteriors."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from support.density_laws import assert_mean, normals, randomize
from support.tiny_models import DATA_SHAPE, DIM, pixels, tiny_vae

import kvae
from kvae.posteriors import (
    DiagonalNormal,
    FullNormal,
    InverseAutoregressiveFlow,
    SylvesterFlow,
)
from kvae.priors import VampPrior

POSTERIORS = {
    "diagonal": lambda: DiagonalNormal(DIM),
    "full": lambda: FullNormal(DIM),
    "iaf": lambda: InverseAutoregressiveFlow(DIM, units=(8,), context_dim=3),
    "sylvester": lambda: SylvesterFlow(DIM, num_steps=1, num_reflections=1),
}


def vamp_vae(posterior="diagonal"):
    vae = tiny_vae(POSTERIORS[posterior](), VampPrior(DIM, DATA_SHAPE, 5))
    randomize(vae.posterior, 0.3)
    vae.prior.adapt(pixels())
    return vae


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_density_is_the_mean_of_the_posteriors_at_the_pseudo_examples(posterior):
    vae = vamp_vae(posterior)
    z = tf.constant(normals(2, 6, DIM, dtype="float32"))
    params = vae.prior()
    found = vae.prior.log_prob(params, z)
    each = vae.encode(vae.prior._examples.numpy())
    terms = np.stack(
        [each.log_prob(tf.broadcast_to(v, (5, DIM))) for v in tf.reshape(z, (12, DIM))]
    )
    expected = scipy.special.logsumexp(terms, axis=-1) - np.log(5)
    assert found.shape == (2, 6)
    np.testing.assert_allclose(np.reshape(found, 12), expected, rtol=1e-4, atol=1e-4)
    tfp_own = vae.prior.distribution(params).log_prob(z)
    np.testing.assert_allclose(tfp_own, found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_draws_have_the_moments_of_the_mixture(posterior):
    vae = vamp_vae(posterior)
    noise = tf.constant(normals(20000, DIM + 1, dtype="float32"))
    z = vae.prior.sample(vae.prior(), noise).numpy()
    theirs = vae.encode(vae.prior._examples.numpy()).sample(20000, seed=[1, 2]).numpy()
    assert_mean(z - theirs.mean((0, 1)), np.zeros(DIM), sigmas=6, smallest_bug=0.15)
    assert_mean(z**2 - (theirs**2).mean((0, 1)), np.zeros(DIM), sigmas=6)


def test_temperature_zero_gives_the_posterior_means():
    vae = vamp_vae()
    noise = tf.constant(normals(500, DIM + 1, dtype="float32"))
    z = vae.prior.sample(vae.prior(), noise, 0.0).numpy()
    means = vae.encode(vae.prior._examples.numpy()).mean().numpy()
    distance = np.abs(z[:, None] - means).max(-1)
    assert distance.min(1).max() < 1e-6
    assert set(distance.argmin(1)) == set(range(5))


def test_gradient_reaches_pseudo_examples_and_encoder():
    vae = vamp_vae()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(vae.prior.log_prob(vae.prior(), tf.ones((1, 2, DIM))))
    variables = [
        *vae.prior.trainable_variables,
        *vae.encoder.trainable_variables,
        *vae.posterior.trainable_variables,
    ]
    for gradient in tape.gradient(loss, variables):
        assert np.abs(gradient).max() > 0


def test_the_encoder_is_tracked_once_and_saved_once(tmp_path):
    vae = vamp_vae()
    assert len(vae.prior.variables) == 1
    paths = [id(v) for v in vae.variables]
    assert len(paths) == len(set(paths))
    vae.save(tmp_path / "vamp.keras")
    loaded = keras.saving.load_model(tmp_path / "vamp.keras")
    np.testing.assert_array_equal(loaded.prior._examples, vae.prior._examples)
    np.testing.assert_array_equal(loaded.sample(4, seed=1), vae.sample(4, seed=1))
    assert loaded.prior._attached() is loaded


def test_adapt_takes_examples_of_the_data():
    x = pixels(50)
    prior = VampPrior(DIM, DATA_SHAPE, 5)
    prior.adapt(x, seed=3)
    first = prior._examples.numpy()
    assert all((row == x).all(-1).any() for row in first)
    prior.adapt(x, seed=4)
    assert (prior._examples.numpy() != first).any()
    prior.adapt(x, seed=3)
    np.testing.assert_array_equal(prior._examples, first)
    prior.adapt(x[:2])
    assert all((row == x[:2]).all(-1).any() for row in prior._examples.numpy())


def test_training_keeps_pseudo_examples_within_bounds():
    vae = vamp_vae()
    vae.compile(optimizer=keras.optimizers.SGD(50.0))
    vae.train_step(tf.constant(pixels()))
    examples = vae.prior._examples.numpy()
    assert examples.min() >= 0.0
    assert examples.max() <= 1.0
    free = VampPrior(DIM, DATA_SHAPE, 50, bounds=None)._examples
    assert free.constraint is None
    assert free.numpy().min() < 0.0


def test_bounds_follow_the_data_unless_they_are_given(tmp_path, caplog):
    x = pixels(50)
    prior = VampPrior(DIM, DATA_SHAPE, 5)
    assert prior.bounds == "data"
    with caplog.at_level("INFO", "kvae"):
        prior.adapt(x)
    assert prior.bounds == (0.0, 1.0)
    assert "kept in (0.0, 1.0), as all examples are" in caplog.text
    again = VampPrior.from_config(prior.get_config())
    assert again.bounds == (0.0, 1.0)
    assert again._examples.constraint(np.float32([-1.0, 2.0])).numpy().tolist() == [
        0,
        1,
    ]
    prior.adapt(3 * x)  # other data, another choice
    assert prior.bounds is None
    assert prior._examples.constraint is None
    given = VampPrior(DIM, DATA_SHAPE, 5, bounds=(0, 5))
    given.adapt(3 * x)
    assert given.bounds == (0, 5)


def test_for_data_starts_it_at_examples_by_the_seed_of_the_model():
    x = pixels(50)
    sampled = kvae.objectives.ELBO(kl="sampled")
    prior = VampPrior(DIM, DATA_SHAPE, 5)
    kvae.VAE.for_data(x, DIM, prior=prior, objective=sampled, seed=7)
    other = VampPrior(DIM, DATA_SHAPE, 5)
    other.adapt(x, seed=7)
    np.testing.assert_array_equal(prior._examples, other._examples)


def test_adapt_refuses_other_shapes_and_ranges():
    prior = VampPrior(DIM, DATA_SHAPE, 5, bounds=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"received \(3, 7\)"):
        prior.adapt(np.zeros((3, 7)))
    with pytest.raises(ValueError, match="received min=-3, max=-3"):
        prior.adapt(np.full((3, 4), -3.0))
    with pytest.raises(ValueError, match="finite examples; received NaN"):
        prior.adapt(np.full((3, 4), np.nan))


def test_without_a_model_it_says_so():
    with pytest.raises(ValueError, match="pass it to kvae.VAE"):
        VampPrior(DIM, DATA_SHAPE)()


def test_what_does_not_fit_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"data_shape=\(7,\) and the likelihood"):
        tiny_vae(prior=VampPrior(DIM, (7,)))
    with pytest.raises(ValueError, match="this encoder needs a condition"):
        tiny_vae(prior=VampPrior(DIM, DATA_SHAPE, 5), condition=True)
    with pytest.raises(ValueError, match="draws latents from the unit sphere"):
        tiny_vae(kvae.posteriors.PowerSpherical(DIM), VampPrior(DIM, DATA_SHAPE))
    with pytest.raises(ValueError, match="has no closed form"):
        tiny_vae(
            prior=VampPrior(DIM, DATA_SHAPE, 5),
            objective=kvae.objectives.ELBO(kl="exact"),
        )


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match="num_components must be an integer from 1"):
        VampPrior(DIM, DATA_SHAPE, 0)
    with pytest.raises(ValueError, match="low < high"):
        VampPrior(DIM, DATA_SHAPE, bounds=(1.0, 0.0))
