"""Recurrent networks read and write a series step by step."""

import keras
import numpy as np
import pytest

import kvae
from kvae.networks import recurrent_decoder, recurrent_encoder, series_encoder
from kvae.networks.unrolled import unrolled

SHAPE = (6, 2)
X = np.random.default_rng(0).normal(size=(5, *SHAPE)).astype("float32")


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def test_the_encoder_is_a_gru_over_the_steps_in_numpy():
    network = recurrent_encoder(SHAPE, (3,))
    (layer,) = (k for k in network.layers if isinstance(k, keras.layers.GRU))
    kernel, recurrent, bias = (
        np.random.default_rng(i).normal(0, 0.5, w.shape)
        for i, w in enumerate(layer.get_weights())
    )
    layer.set_weights([kernel, recurrent, bias])
    state = np.zeros((5, 3))
    for step in range(SHAPE[0]):
        # Cho et al. 2014, with the reset gate after the product, as cuDNN has it.
        a = X[:, step] @ kernel + bias[0]
        b = state @ recurrent + bias[1]
        update = sigmoid(a[:, :3] + b[:, :3])
        reset = sigmoid(a[:, 3:6] + b[:, 3:6])
        new = np.tanh(a[:, 6:] + reset * b[:, 6:])
        state = update * state + (1 - update) * new
    np.testing.assert_allclose(network(X), state, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("shape", [(6, 2), (6,)])
def test_shapes_stacks_conditions_and_masks(cell, shape):
    x = np.ones((4, *shape), "float32")
    encoder = recurrent_encoder(shape, (3, 5), cell, classes=3, with_mask=True)
    inputs = {"x": x, "mask": np.ones_like(x), "condition": np.array([0, 1, 2, 0])}
    features = encoder(inputs).numpy()
    assert features.shape == (4, 5)
    np.testing.assert_allclose(features[0], features[3], rtol=1e-5)
    assert np.abs(features[0] - features[1]).max() > 1e-4
    hidden = {**inputs, "mask": 0 * x}
    assert np.abs(encoder(hidden).numpy() - features).max() > 1e-4
    decoder = recurrent_decoder(2, shape, (5, 3), cell, condition_shape=(2,))
    z, c = np.ones((4, 2), "float32"), np.ones((4, 2), "float32")
    assert decoder({"z": z, "condition": c}).shape == (4, 6, 3)


def test_convolutions_see_a_mask_too():
    encoder = series_encoder(SHAPE, (4, 4), 8, with_mask=True)
    full, none = (
        encoder({"x": X, "mask": np.full(X.shape, m, "float32")}) for m in (1, 0)
    )
    assert np.abs(full - none).max() > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "rnn"}, 'cell must be "gru" or "lstm"'),
        ({"units": ()}, "units must be a tuple of integers"),
        ({"data_shape": (4, 4, 3)}, "a network for series expects"),
    ],
)
def test_what_is_no_series_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        recurrent_encoder(**{"data_shape": SHAPE, **options})


@pytest.fixture(scope="module")
def vae():
    keras.utils.set_random_seed(0)
    vae = kvae.VAE(
        recurrent_encoder(SHAPE, (4,), "lstm"),
        recurrent_decoder(2, SHAPE, (4,)),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Normal(SHAPE),
        seed=0,
    )
    vae.build((None, *SHAPE))
    for i, weight in enumerate(vae.trainable_weights):
        noise = np.random.default_rng(i).normal(0, 0.3, weight.shape)
        weight.assign_add(noise.astype("float32"))
    return vae


def test_unrolled_layers_compute_the_same_and_are_put_back(vae):
    layers = [k for k in vae._flatten_layers() if isinstance(k, keras.layers.RNN)]
    before = vae.encoder(X).numpy()
    with unrolled(vae):
        assert [layer.unroll for layer in layers] == [True, True]
        np.testing.assert_allclose(vae.encoder(X), before, rtol=1e-5, atol=1e-7)
    assert [layer.unroll for layer in layers] == [False, False]
