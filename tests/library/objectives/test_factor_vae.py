import keras
import numpy as np
import pytest
import tensorflow as tf

import kvae
from kvae.objectives import ELBO, FactorVAE
from kvae.objectives.factor_vae import shuffle


def test_shuffle_keeps_each_column_and_breaks_their_tie():
    rng = np.random.default_rng(0)
    column = rng.normal(size=(2, 4000, 1))
    z = np.concatenate([column, column], axis=2)
    found = shuffle(tf.constant(z), tf.constant(rng.normal(size=z.shape))).numpy()
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(z, axis=1))
    for k in range(2):
        assert np.corrcoef(z[k].T)[0, 1] == pytest.approx(1)
        assert abs(np.corrcoef(found[k].T)[0, 1]) < 5 / 4000**0.5


@pytest.fixture
def attached(linear_gaussian):
    objective = FactorVAE(ELBO(), gamma=7.0)
    objective.attach(linear_gaussian.vae)
    return objective


def test_reported_values_follow_from_the_discriminator(linear_gaussian, attached, x):
    plain = linear_gaussian.parts(ELBO(), x)
    parts = linear_gaussian.parts(attached, x)
    logit = attached._network(plain.draw.z[0]).numpy()[:, 0]
    np.testing.assert_allclose(parts.metrics["total_correlation"], logit, rtol=1e-6)
    np.testing.assert_allclose(
        parts.data_term, plain.distortion + 7.0 * logit, rtol=1e-6
    )
    np.testing.assert_allclose(parts.elbo, plain.elbo, rtol=1e-12)


def test_each_term_reaches_its_own_network_and_no_other(linear_gaussian, attached, x):
    networks = {
        "discriminator": attached._network.trainable_variables,
        "encoder": linear_gaussian.encoder_variables,
    }
    with tf.GradientTape(persistent=True) as tape:
        parts = linear_gaussian.parts(attached, x)
        total = tf.reduce_sum(parts.data_term)
        cross_entropy = tf.reduce_sum(parts.metrics["discriminator_loss"])
        rest = total - tf.reduce_sum(
            parts.metrics["discriminator_loss"]
            - tf.stop_gradient(parts.metrics["discriminator_loss"])
        )
    pairs = zip(
        tape.gradient(total, networks["discriminator"]),
        tape.gradient(cross_entropy, networks["discriminator"]),
        strict=True,
    )
    for ours, alone in pairs:
        np.testing.assert_allclose(ours, alone, rtol=1e-6, atol=1e-9)
        assert np.any(ours)
    assert tape.gradient(cross_entropy, networks["encoder"]) == [None] * 6
    for ours, alone in zip(
        tape.gradient(total, networks["encoder"]),
        tape.gradient(rest, networks["encoder"]),
        strict=True,
    ):
        np.testing.assert_allclose(ours, alone, rtol=1e-9)


@pytest.mark.slow
def test_estimates_the_total_correlation_of_a_correlated_normal():
    """z = x with correlation 0.8: TC = -0.5 log(1 - 0.64) = 0.511 nats."""
    keras.utils.set_random_seed(0)
    data = keras.Input((2,), name="x")
    body = kvae.networks.mlp((2,), (64, 64), activation="swish")
    objective = FactorVAE(gamma=1.0, discriminator=body)
    vae = kvae.VAE(
        encoder=keras.Model(data, keras.layers.Identity()(data)),
        decoder=kvae.networks.mlp((2,), (4,), role="decoder"),
        posterior=kvae.posteriors.DiagonalNormal(2),
        likelihood=kvae.likelihoods.Normal((2,)),
        objective=objective,
        seed=0,
    )
    means, scales = (
        vae.posterior.trainable_variables[:2],
        (vae.posterior.trainable_variables[2:]),
    )
    means[0].assign(np.eye(2))
    scales[0].assign(np.zeros((2, 2)))
    scales[1].assign([-20.0, -20.0])
    vae.posterior.trainable = vae.decoder.trainable = False
    vae.likelihood.trainable = False
    vae.compile(keras.optimizers.Adam(1e-2))
    cov = [[1.0, 0.8], [0.8, 1.0]]
    x = np.random.default_rng(1).multivariate_normal([0, 0], cov, 20_000)
    x = x.astype("float32")
    vae.fit(x, batch_size=1000, epochs=25, verbose=0)
    found = vae.evaluate(x, batch_size=5000, verbose=0, return_dict=True)
    assert found["total_correlation"] == pytest.approx(0.511, abs=0.05)
    assert found["discriminator_loss"] < np.log(2) - 0.05


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_own_discriminator_is_saved(small_vae, binary, tmp_path):
    body = kvae.networks.mlp((2,), (5,))
    vae = small_vae(FactorVAE(ELBO(), discriminator=body))
    vae.fit(binary, verbose=0)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert loaded.objective.discriminator.count_params() == 15
    expected = vae.evaluate(binary, verbose=0, return_dict=True)
    found = loaded.evaluate(binary, verbose=0, return_dict=True)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-5), key


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match="Keras network from .* received 3"):
        FactorVAE(discriminator=3)
    with pytest.raises(ValueError, match="gamma >= 0, or a schedule.*received -1"):
        FactorVAE(gamma=-1)
