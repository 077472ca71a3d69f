import functools
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvae
from kvae.core.inputs import Inputs
from kvae.noise import Noise
from kvae.objectives import ELBO, IWAE, MMD, Adversarial, Perceptual

pytestmark = pytest.mark.usefixtures("eagerly")

# The package has a function of the module's name.
training = sys.modules["kvae.networks.feature_distance"]


def feature_model(shape=(6,)):
    x = keras.Input(shape)
    first = keras.layers.Dense(5, "tanh")(keras.layers.Flatten()(x))
    return keras.Model(x, [first, keras.layers.Dense(3)(first)])


def parts_of(vae, x, mask=None):
    inputs = Inputs(tf.constant(x), mask=mask)
    return vae.objective.parts(vae, inputs, Noise(tf.constant([0, 1])), True)


def test_distance_is_the_numpy_form(small_vae, binary):
    net = feature_model()
    vae = small_vae(Perceptual(ELBO(), net, weight=3.0, data_weight=0.5))
    parts = parts_of(vae, binary)
    seen = tf.sigmoid(parts.draw.likelihood["logits"][0])
    expected = sum(
        0.5 * np.mean((a.numpy() - b.numpy()) ** 2, axis=1)
        for a, b in zip(net(binary), net(seen), strict=True)
    )
    np.testing.assert_allclose(parts.metrics["perceptual"], expected, rtol=1e-4)
    np.testing.assert_allclose(
        parts.data_term, 0.5 * parts.distortion + 3.0 * expected, rtol=1e-4
    )


def test_missing_entries_add_nothing(small_vae, binary):
    vae = small_vae(Perceptual(ELBO(), feature_model()))
    mask = np.ones_like(binary)
    mask[0] = 0
    found = parts_of(vae, binary, tf.constant(mask)).metrics["perceptual"].numpy()
    assert found[0] == 0
    assert (found[1:] > 0).all()


@pytest.mark.slow
def test_feature_model_stays_as_it_was_and_is_saved(small_vae, binary, tmp_path):
    net = feature_model()
    before = [w.copy() for w in net.get_weights()]
    vae = small_vae(Perceptual(ELBO(), net))
    vae.fit(binary, epochs=2, verbose=0)
    for old, new in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert not loaded.objective.distance.feature_model.trainable_variables
    expected = vae.evaluate(binary, verbose=0, return_dict=True)
    found = loaded.evaluate(binary, verbose=0, return_dict=True)
    assert found["perceptual"] == pytest.approx(expected["perceptual"], rel=1e-5)


def pictures(num=24):
    return np.random.default_rng(0).random((num, 16, 16, 3)).astype("float32")


def test_structure_is_compared_beside_features():
    """Nested, each distance is reported and weighed on its own."""
    x = pictures()
    inner = Perceptual(ELBO(), "ms_ssim", weight=5.0)
    vae = kvae.VAE(
        kvae.networks.conv_encoder((16, 16, 3), (4,)),
        kvae.networks.conv_decoder(2, (16, 16, 3), (4,)),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Normal((16, 16, 3)),
        objective=Perceptual(inner, feature_model((16, 16, 3)), weight=7.0),
        seed=0,
    )
    parts = parts_of(vae, x)
    seen = parts.draw.likelihood["loc"][0]
    structure = 1 - kvae.maths.ms_ssim(tf.constant(x), seen)
    np.testing.assert_allclose(parts.metrics["ms_ssim_distance"], structure, rtol=1e-5)
    np.testing.assert_allclose(
        parts.data_term,
        parts.distortion + 5 * structure + 7 * parts.metrics["perceptual"],
        rtol=1e-5,
    )


@pytest.mark.slow
def test_features_are_trained_on_the_data_and_saved(tmp_path, monkeypatch):
    train = functools.partial(training.train_features, steps=3)
    monkeypatch.setattr(training, "train_features", train)
    x = pictures()
    vae = kvae.VAE.for_data(x, 2, seed=0, objective=Perceptual(distance="features"))
    vae.compile("adam")
    fresh = training.feature_network((16, 16, 3)).get_weights()
    weights = vae.objective.distance.feature_model.get_weights()
    assert all(np.any(a != b) for a, b in zip(weights, fresh, strict=True))
    vae.fit(x, verbose=0)
    vae.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    found = loaded.objective.distance.feature_model.get_weights()
    for a, b in zip(found, weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.evaluate(x, verbose=0) == pytest.approx(vae.evaluate(x, verbose=0))


def test_wrong_arguments_are_refused(small_vae):
    with pytest.raises(
        TypeError, match="Keras model from x to features; received None"
    ):
        Perceptual()
    with pytest.raises(TypeError, match='"ms_ssim", "features", .* received .lpips'):
        Perceptual(distance="lpips")
    with pytest.raises(ValueError, match=r"at least 11x11 pixels; .*shape \(6,\)"):
        small_vae(Perceptual(distance="ms_ssim"))
    with pytest.raises(ValueError, match=">= 0; received -1"):
        Perceptual(distance=feature_model(), data_weight=-1)
    with pytest.raises(ValueError, match=r"shape \(7,\), but examples have .*\(6,\)"):
        small_vae(Perceptual(distance=feature_model((7,))))


def test_an_objective_that_scales_the_decoders_gradient_is_refused(small_vae):
    for objective in (IWAE(3, "dreg"), MMD(IWAE(3, "dreg"))):
        with pytest.raises(ValueError, match='cannot wrap IWAE.gradient="dreg"'):
            small_vae(Perceptual(objective, feature_model()))
    small_vae(Perceptual(IWAE(3, "stl"), feature_model()))


def test_a_discriminator_inside_that_would_not_learn_is_refused(small_vae):
    """With weight 0 its gradient is 0, and its metrics would look like a draw."""
    options = {"adaptive": False, "loss": "logistic"}
    inside = Perceptual(Adversarial(**options), feature_model(), data_weight=0)
    with pytest.raises(ValueError, match=r"Put it outside: Adversarial\(Perceptual"):
        small_vae(inside)
    small_vae(Perceptual(Adversarial(**options), feature_model(), data_weight=0.5))
    small_vae(Adversarial(Perceptual(None, feature_model(), data_weight=0), **options))
