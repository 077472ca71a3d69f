"""Residual networks fit any picture, start without a pattern, and stay small."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae.networks import (
    ICNR,
    DepthToSpace,
    residual,
    residual_decoder,
    residual_encoder,
)


@pytest.mark.parametrize("shape", [(7, 9), (8, 8, 1), (5, 12, 3), (1, 1, 2), (33, 16)])
@pytest.mark.parametrize("widths", [None, (4,), (4, 3)])
def test_pictures_of_any_size_fit(shape, widths):
    if shape == (1, 1, 2) and widths is not None:
        widths = widths[:1]
    image = np.ones((2, *shape), "float32")
    features = residual_encoder(shape, None, widths)(image)
    assert features.shape == (2, math.prod(features.shape[1:]))
    decoder = residual_decoder(3, shape, widths, features=5)
    assert decoder(np.ones((2, 3), "float32")).shape == (2, *shape[:2], 5)


@pytest.mark.parametrize(
    ("shape", "latent_shape"),
    [((8, 8, 1), (4, 4, 2)), ((9, 14), (3, 4, 5)), ((7, 5, 3), (1, 1, 6))],
)
def test_latents_with_a_shape_keep_their_places(shape, latent_shape):
    features = residual_encoder(shape, latent_shape)(np.ones((2, *shape), "float32"))
    assert features.shape[:3] == (2, *latent_shape[:2])
    z = np.ones((2, *latent_shape), "float32")
    assert residual_decoder(latent_shape, shape)(z).shape == (2, *shape[:2], 16)


def test_networks_for_maps_are_convolutional():
    # The weights do not know the size of the picture, and a place of the map sees the
    # part of the picture around it, here 14 pixels further at most.
    small, large = (
        residual_encoder((size, size, 3), (size // 4, size // 4, 2), (4, 6), blocks=1)
        for size in (16, 128)
    )
    assert [w.shape for w in small.weights] == [w.shape for w in large.weights]
    x = np.random.default_rng(0).random((2, 128, 128, 3), "float32")
    x[1] = x[0]
    x[1, :64] = 0
    # One by one: on some processors, a product rounds by the row of a batch.
    before, after = (large(one[None]).numpy() for one in x)
    changed = np.abs(after - before).max(axis=(0, 2, 3))
    assert changed[:16].min() > 0
    assert changed[-12:].max() == 0


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_default_networks_are_small_at_any_size(size):
    shape = (size, size, 3)
    for latent_shape in (256, (16, 16, 4)):
        encoder = residual_encoder(shape, latent_shape, attention=True)
        decoder = residual_decoder(latent_shape, shape, attention=True)
        weights = encoder.count_params() + decoder.count_params()
        if latent_shape == 256:  # and the two dense heads of a normal posterior
            weights += 2 * 256 * (encoder.output_shape[1] + 1)
        assert weights < 5_000_000


def test_upsampling_starts_as_copies_of_one_convolution():
    kernel = ICNR(2, keras.initializers.VarianceScaling(2.0, seed=1))((3, 3, 5, 12))
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 5)).astype("float32")
    found = DepthToSpace(2)(tf.nn.conv2d(x, kernel, 1, "SAME")).numpy()
    coarse = tf.nn.conv2d(x, kernel[..., :3], 1, "SAME").numpy()
    nearest = coarse.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(found, nearest, rtol=1e-4, atol=1e-5)
    # The three channels are drawn, with the variance that was asked for: 2 / (9 * 5).
    assert np.std(kernel[..., :3]) == pytest.approx(math.sqrt(2 / 45), rel=0.3)
    with pytest.raises(ValueError, match="expects a multiple of 4 output channels"):
        ICNR(2)((3, 3, 5, 6))


def checkerboard(images: np.ndarray) -> float:
    """The power of a pattern that repeats every 2, 4 or 8 pixels, over that nearby.

    Such a pattern is at whole multiples of 1/8 of the sampling rate, in rows, columns or
    both. The picture itself is smooth there: its power three bins further on is alike.

    Args:
        images: (N, S, S, C), S a multiple of 8.
    """
    size = images.shape[1]
    window = np.hanning(size)[:, None] * np.hanning(size)
    centered = images - images.mean(axis=(1, 2), keepdims=True)
    spectrum = np.fft.fft2(centered * window[..., None], axes=(1, 2))
    power = (np.abs(spectrum) ** 2).mean(axis=(0, 3))
    peaks = np.arange(0, size, size // 8)
    ratios = []
    for u in peaks:
        for v in peaks:
            if (u, v) != (0, 0):
                around = [
                    power[(u + i) % size, (v + j) % size]
                    for i in (-3, 0, 3)
                    for j in (-3, 0, 3)
                    if (i, j) != (0, 0)
                ]
                ratios.append(power[u, v] / np.mean(around))
    return max(ratios)


def pictures(latent_shape) -> np.ndarray:
    """What decoders of random weights draw: features (32, 64, 64, 8)."""
    keras.utils.set_random_seed(0)
    decoder = residual_decoder(latent_shape, (64, 64, 3), features=8)
    z = np.random.default_rng(1).normal(size=(32, *decoder.input_shape[1:]))
    return decoder(z.astype("float32")).numpy()


@pytest.mark.parametrize("latent_shape", [16, (16, 16, 4)])
def test_a_new_decoder_draws_no_checkerboard(latent_shape, monkeypatch):
    assert checkerboard(pictures(latent_shape)) < 2
    monkeypatch.setattr(residual, "ICNR", lambda rate, base="lecun_normal": base)
    assert checkerboard(pictures(latent_shape)) > 20


def test_the_measure_of_a_checkerboard_finds_one():
    noise = np.random.default_rng(0).normal(size=(32, 64, 64, 3))
    assert checkerboard(noise) == pytest.approx(1, abs=0.7)
    for period in (2, 4, 8):
        wave = np.cos(2 * np.pi * np.arange(64) / period)
        assert checkerboard(noise + 0.5 * wave[:, None]) > 20


@pytest.mark.parametrize("size", [8, 32, 128])
def test_signals_neither_fade_nor_explode_at_the_start(size):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(4, size, size, 3)).astype("float32")
    features = residual_encoder((size, size, 3), 32)(x).numpy()
    z = np.random.default_rng(1).normal(size=(4, 32)).astype("float32")
    drawn = residual_decoder(32, (size, size, 3))(z).numpy()
    for values in (features, drawn):
        assert 0.1 < values.std() < 3


def test_a_saved_network_gives_the_same_features(tmp_path):
    options = {"attention": True, "classes": 3}
    for network in (
        residual_encoder((9, 6), None, (4, 3), **options),
        residual_decoder((3, 2, 5), (9, 6), (4, 3), **options),
    ):
        given = {
            name: np.ones((2, *tensor.shape[1:]), "float32")
            for name, tensor in network.input.items()
        }
        network.save(tmp_path / "network.keras")
        again = keras.saving.load_model(tmp_path / "network.keras")
        np.testing.assert_array_equal(again(given), network(given))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: residual_encoder((12,)), r"received \(12,\)\. Use networks.mlp"),
        (lambda: residual_decoder(2, (8, 0, 1)), "expects data_shape"),
        (
            lambda: residual_encoder((64, 48, 3), (10, 10, 4)),
            r"pictures of 64x48 never gives latents of 10x10; .* 32x24, 16x12, 8x6, 4x3, "
            "2x2, 1x1",
        ),
        (lambda: residual_decoder((64, 64, 4), (64, 64, 3)), "can start with 32x32"),
        (
            lambda: residual_decoder((4, 4), (8, 8, 3)),
            r"latent_shape must be D or \(D,\)",
        ),
        (
            lambda: residual_decoder(0, (8, 8, 3)),
            "expects latent_dim to be a positive",
        ),
        (
            lambda: residual_encoder((64, 64, 3), (16, 16, 4), (8, 8, 8)),
            "2 halvings of 64x64 away, so widths must hold 2 numbers",
        ),
        (lambda: residual_encoder((8, 8, 3), None, (4,) * 4), "can be halved 3 times"),
        (lambda: residual_encoder((8, 8, 3), None, ()), "widths must be a tuple"),
        (
            lambda: residual_encoder((8, 8, 3), None, (4, 0)),
            "widths must be a tuple",
        ),
        (lambda: residual_encoder((8, 8), None, (4, 4), (1,)), "each of the 2 levels"),
        (lambda: residual_encoder((8, 8), None, (4, 4), -1), "blocks must be"),
        (
            lambda: residual_encoder((128, 128, 3), (64, 64, 1), attention=True),
            "1024 positions at most; the last map has 64x64",
        ),
        (
            lambda: residual_decoder(2, (8, 8), features=0),
            "features must be an integer from 1",
        ),
        (
            lambda: residual_decoder(2, (8, 8), classes=2, condition_shape=(3,)),
            "one of",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_encoder_starts_with_what_it_is_given():
    keras.utils.set_random_seed(0)
    double = keras.layers.Rescaling(2.0)
    encoder = residual_encoder((8, 8), None, (4,), preprocess=double)
    keras.utils.set_random_seed(0)
    plain = residual_encoder((8, 8), None, (4,))
    x = np.random.default_rng(0).random((2, 8, 8), "float32")
    np.testing.assert_allclose(encoder(x), plain(2 * x), atol=1e-6)
    assert np.abs(encoder(x) - plain(x)).max() > 1e-3
