import keras
import numpy as np

from kvae.networks import SelfAttention


def test_equals_the_formula_in_numpy():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    layer = SelfAttention()
    layer.build(x.shape)
    for weight in layer.weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    found = layer(x).numpy()

    flat = x.reshape(2, 12, 5).astype("float64")

    def linear(name):
        kernel, bias = (np.asarray(w) for w in getattr(layer, name).weights)
        return lambda v: v @ kernel[0, 0] + bias

    query, key, value = (linear(n)(flat) for n in ("_query", "_key", "_value"))
    scores = np.einsum("bic,bjc->bij", query, key) / np.sqrt(5)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    wanted = flat + linear("_output")(weights @ value)
    np.testing.assert_allclose(found.reshape(2, 12, 5), wanted, rtol=1e-4, atol=1e-5)


def test_config_round_trip():
    layer = SelfAttention(keras.initializers.VarianceScaling(0.1))
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    assert again.output_initializer.scale == 0.1
