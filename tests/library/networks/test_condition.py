import numpy as np
import pytest
import tensorflow as tf

from kvae.networks import (
    conv_decoder,
    conv_encoder,
    mlp,
    residual_decoder,
    residual_encoder,
)

IMAGE = (6, 6, 1)
MAKERS = {
    "mlp encoder": lambda **o: mlp(IMAGE, (8,), "tanh", **o),
    "mlp decoder": lambda **o: mlp((2,), (8,), "tanh", role="decoder", **o),
    "conv encoder": lambda **o: conv_encoder(IMAGE, (4,), 8, **o),
    "conv decoder": lambda **o: conv_decoder(2, IMAGE, (4, 4), 8, **o),
    "residual encoder": lambda **o: residual_encoder(IMAGE, 2, (4, 4), **o),
    "residual decoder": lambda **o: residual_decoder((3, 3, 2), IMAGE, **o),
}
CONDITIONS = {
    "label": ({"classes": (3, 5)}, np.array([3, 5, 3], "int32")),
    "number": ({"condition_shape": ()}, np.array([0.1, 2.0, -1.0], "float32")),
    "vector": ({"condition_shape": (4,)}, np.eye(4, dtype="float32")[:3]),
    "image": (
        {"condition_shape": (5, 7)},
        np.random.default_rng(0).random((3, 5, 7)).astype("float32"),
    ),
}


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("maker", MAKERS)
def test_features_depend_on_the_condition_of_their_own_row(maker, condition):
    options, values = CONDITIONS[condition]
    network = MAKERS[maker](**options)
    main = "z" if "decoder" in maker else "x"
    given = tf.ones((3, *network.input[main].shape[1:]))
    features = np.asarray(network({main: given, "condition": tf.constant(values)}))
    features = features.reshape(3, -1)
    turned = network({main: given, "condition": tf.constant(values[::-1])})
    np.testing.assert_allclose(
        np.asarray(turned).reshape(3, -1), features[::-1], atol=1e-6
    )
    assert np.abs(features[0] - features[1]).max() > 1e-4
    if condition == "label":
        np.testing.assert_allclose(features[0], features[2], atol=1e-6)


def test_a_condition_is_a_label_or_an_array():
    with pytest.raises(ValueError, match="pass only one of them"):
        mlp((3,), condition_shape=(2,), classes=4)
