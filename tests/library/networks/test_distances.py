"""Distances between pictures."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

import kvae
from kvae.networks import (
    FeatureDistance,
    MultiScaleSSIM,
    application_features,
    feature_distance,
)


def network(shape=(12, 12, 3)):
    x = keras.Input(shape)
    first = keras.layers.Conv2D(4, 3, activation="relu")(x)
    second = keras.layers.Conv2D(5, 3, 2, name="second")(first)
    return keras.Model(x, {"a": first, "b": second}, name="small")


def pairs(shape=(12, 12, 3), num=4):
    return np.random.default_rng(0).random((2, num, *shape)).astype("float32")


@pytest.mark.parametrize("normalize", [True, False])
def test_features_are_compared_as_in_numpy(normalize):
    keras.utils.set_random_seed(0)
    net = network()
    a, b = pairs()
    expected = 0.0
    for p, q in zip(net(a).values(), net(b).values(), strict=True):
        p, q = p.numpy(), q.numpy()
        if normalize:
            p, q = (
                f / np.linalg.norm(f, axis=-1, keepdims=True).clip(1e-5) for f in (p, q)
            )
            expected += np.mean(np.sum((p - q) ** 2, axis=-1), axis=(1, 2))
        else:
            expected += 0.5 * np.mean((p - q) ** 2, axis=(1, 2, 3))
    distance = FeatureDistance(net, normalize)
    np.testing.assert_allclose(distance(a, b), expected, rtol=1e-4)
    np.testing.assert_array_equal(distance(a, a), np.zeros(4))
    assert not distance.trainable_variables


def test_structure_takes_pictures_with_and_without_channels():
    a, b = pairs((16, 16, 1))
    distance = MultiScaleSSIM()
    expected = 1 - kvae.maths.ms_ssim(tf.constant(a), tf.constant(b))
    np.testing.assert_allclose(distance(a, b), expected)
    np.testing.assert_allclose(distance(a[..., 0], b[..., 0]), expected)
    np.testing.assert_allclose(MultiScaleSSIM(5.0)(5 * a, 5 * b), expected, rtol=1e-4)


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.images.astype("float32") / 16, data.target


def by_class(distance, x, labels):
    """The mean distance of pairs of one class, and of pairs of two."""
    rng = np.random.default_rng(0)
    i, j = rng.integers(len(x), size=(2, 2000))
    found = distance(x[i], x[j]).numpy()
    same = labels[i] == labels[j]
    return found[same].mean(), found[~same].mean()


@pytest.mark.slow
def test_features_of_labels_tell_classes_apart(digits, capsys):
    """Unlike digits are further apart, and more so than before the network was trained."""
    x, labels = digits
    ratios = []
    for steps in (1, 150):
        distance = feature_distance(x, labels, steps=steps)
        one, two = by_class(distance, x, labels)
        ratios.append(two / one)
    assert "tells 10 labels apart" in capsys.readouterr().out
    assert ratios[1] > ratios[0] > 1.2


@pytest.mark.slow
def test_features_without_labels_learn_turns(digits, capsys, tmp_path):
    x, labels = digits
    distance = feature_distance(x, steps=150)
    said = capsys.readouterr().out
    assert "tells 4 turns" in said
    right = int(said.split("others it gets ")[1].split(" percent")[0])
    assert right > 60  # guessing: 25
    one, two = by_class(distance, x, labels)
    assert two > 1.1 * one
    again = feature_distance(x, steps=150)
    np.testing.assert_array_equal(distance(x[:9], x[9:18]), again(x[:9], x[9:18]))
    quality = kvae.evaluation.extract_features(distance.embedding(), x[:9])
    assert quality.shape == (9, 32)
    config = keras.saving.serialize_keras_object(distance)
    loaded = keras.saving.deserialize_keras_object(config)
    loaded.feature_model.set_weights(distance.feature_model.get_weights())
    np.testing.assert_array_equal(distance(x[:9], x[9:18]), loaded(x[:9], x[9:18]))


def test_turns_are_all_different():
    from kvae.networks.feature_distance import _turns

    for shape, count in (((9, 9), 4), ((9, 8), 4), ((9, 9, 3), 24), ((9, 8, 1), 4)):
        x = np.random.default_rng(0).random((2, *shape))
        turned = [turn(x) for turn in _turns(shape)]
        np.testing.assert_array_equal(turned[0], x)
        assert all(t.shape == x.shape for t in turned)
        assert len({t.tobytes() for t in turned}) == count


def strided():
    """As the networks of `keras.applications` do, it pads before it strides."""
    x = hidden = keras.Input((32, 32, 3))
    for width in (4, 5, 6):
        hidden = keras.layers.ZeroPadding2D(((0, 1), (0, 1)))(hidden)
        hidden = keras.layers.Conv2D(width, 3, 2)(hidden)
        hidden = keras.layers.ReLU()(hidden)
    return keras.Model(x, keras.layers.GlobalAveragePooling2D()(hidden), name="net")


@pytest.mark.parametrize("shape", [(20, 16), (20, 16, 1), (20, 16, 3)])
def test_features_of_any_network(shape):
    """Its last map of each size, of pictures that are resized and get three channels."""
    keras.utils.set_random_seed(0)
    net = strided()
    scaled = keras.layers.Rescaling(2.0, offset=-1.0)
    model = application_features(net, shape, preprocess=scaled)
    assert [m.shape[1:] for m in model.outputs] == [(16, 16, 4), (8, 8, 5), (4, 4, 6)]
    a, b = pairs(shape)
    assert np.all(FeatureDistance(model)(a, b) > 0)
    color = a if shape[-1] == 3 else np.repeat(a.reshape(4, 20, 16, 1), 3, -1)
    sized = tf.image.resize(color, (32, 32))
    pooled = tf.reduce_mean(model(a)[-1], axis=(1, 2))
    np.testing.assert_allclose(pooled, net(2.0 * sized - 1.0), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_features_of_an_application():
    net = keras.applications.MobileNetV2(
        (32, 32, 3), 0.35, weights=None, include_top=False
    )
    model = application_features(net, (32, 32, 3))
    assert [m.shape[1] for m in model.outputs] == [16, 8, 4, 2, 1]


def test_layers_of_a_network_are_named():
    model = application_features(network((None, None, 3)), (12, 12, 3), ("second",))
    assert [m.shape[1:] for m in model.outputs] == [(4, 4, 5)]


def test_what_does_not_fit_is_refused(digits):
    x, labels = digits
    with pytest.raises(TypeError, match="Keras model from x to features; received 3"):
        FeatureDistance(3)
    with pytest.raises(
        ValueError, match=r"inputs of shape \(12, 12, 3\), but examples"
    ):
        FeatureDistance(network()).prepare((16, 16, 3))
    with pytest.raises(ValueError, match=r"8x8 pixels or more; received \(6,\)"):
        feature_distance(np.zeros((30, 6)))
    with pytest.raises(ValueError, match="at least 20 pictures; received 9"):
        feature_distance(x[:9])
    with pytest.raises(ValueError, match=r"2 different integers of shape \(1797,\)"):
        feature_distance(x, labels[:5])
    with pytest.raises(ValueError, match="call adapt.x. first"):
        FeatureDistance().embedding()
    with pytest.raises(ValueError, match="above 0; received 0"):
        MultiScaleSSIM(0)
    with pytest.raises(ValueError, match="takes 3 channels; received .*12, 12, 2"):
        application_features(network(), (12, 12, 2))
    with pytest.raises(ValueError, match="Name layers, or build it with input_shape"):
        application_features(network((None, None, 3)), (12, 12, 3))
