import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.noise import Noise
from kvae.objectives import ELBO, IWAE, MMD, Perceptual


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


def test_feature_model_stays_as_it_was_and_is_saved(small_vae, binary, tmp_path):
    net = feature_model()
    before = [w.copy() for w in net.get_weights()]
    vae = small_vae(Perceptual(ELBO(), net))
    vae.fit(binary, epochs=2, verbose=0)
    for old, new in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    assert not loaded.objective.feature_model.trainable_variables
    expected = vae.evaluate(binary, verbose=0, return_dict=True)
    found = loaded.evaluate(binary, verbose=0, return_dict=True)
    assert found["perceptual"] == pytest.approx(expected["perceptual"], rel=1e-5)


def test_wrong_arguments_are_refused(small_vae):
    with pytest.raises(
        TypeError, match="Keras model from x to features; received None"
    ):
        Perceptual()
    with pytest.raises(ValueError, match=">= 0; received -1"):
        Perceptual(feature_model=feature_model(), data_weight=-1)
    with pytest.raises(ValueError, match=r"shape \(7,\), but examples have .*\(6,\)"):
        small_vae(Perceptual(feature_model=feature_model((7,))))


def test_an_objective_that_scales_the_decoders_gradient_is_refused(small_vae):
    for objective in (IWAE(3, "dreg"), MMD(IWAE(3, "dreg"))):
        with pytest.raises(ValueError, match='cannot wrap IWAE.gradient="dreg"'):
            small_vae(Perceptual(objective, feature_model()))
    small_vae(Perceptual(IWAE(3, "stl"), feature_model()))
