"""`VAE.for_data`: parts from what the data show, in whatever units they come."""

import re

import keras
import numpy as np
import pytest
from scipy import stats

import kvae
from kvae.likelihoods import Bernoulli, NegativeBinomial, Normal, Poisson
from kvae.model.default_networks import choose_latents
from kvae.model.defaults import choose_parts
from kvae.networks import mlp

RNG = np.random.default_rng(0)


def chosen(x, **options):
    choice = choose_parts(x, 2, {}, **options)
    return choice.parts, str(choice)


def skewed(num, seed=0):
    x = np.exp(np.random.default_rng(seed).normal(size=(num, 12)))
    return ((x - x.min(0)) / (x.max(0) - x.min(0))).astype("float32")


def white_pictures(channels):
    x = np.ones((30, 8, 8, channels))
    x[:, 2:5, 3:6] = RNG.random((30, 3, 3, channels))
    return x


# === Which likelihood ===


@pytest.mark.parametrize(
    ("x", "likelihood", "words"),
    [
        (RNG.integers(0, 2, (20, 5)), Bernoulli, "all entries are 0 or 1"),
        (RNG.random((20, 5)) > 0.5, Bernoulli, "all entries are 0 or 1"),
        (skewed(50), Normal, "real numbers from 0 to 1"),
        (RNG.dirichlet(np.full(6, 0.1), 40), Normal, "real numbers from"),
        (white_pictures(3), Normal, "8x8 pixels with 3 channels, which is small"),
        (
            np.minimum(1, RNG.random((40, 28, 28)) * 9),
            Normal,
            "images of 28x28 pixels;",
        ),
        (
            RNG.integers(0, 256, (9, 20, 20), "uint8"),
            Normal,
            "whole numbers from 0 to 255",
        ),
        (RNG.integers(0, 17, (30, 64)) + 0.0, Normal, "whole numbers from 0 to 16"),
        (RNG.integers(-9, 9, (30, 4)), Normal, "real numbers from -9 to 8"),
        (
            RNG.poisson(RNG.gamma(0.5, 4, (50, 9))),
            NegativeBinomial,
            "entries are counts",
        ),
        (RNG.poisson(1.0, (500, 9)) + 0.0, NegativeBinomial, "entries are counts"),
    ],
)
def test_the_likelihood_suits_the_values(x, likelihood, words):
    parts, line = chosen(x)
    assert type(parts["likelihood"]) is likelihood
    assert words in line
    assert line.startswith(f"for_data: {len(x)} examples of shape {x.shape[1:]}; ")
    assert line.endswith("; 2 latents")


def test_columns_in_different_units_get_a_scale_each():
    x = RNG.normal(size=(200, 4)) * [1, 30, 1e4, 0.01] + [0, 500, 0, 7]
    parts, line = chosen(x)
    assert parts["likelihood"].scale == "per_dimension"
    assert "columns differ in their units" in line
    assert chosen(RNG.normal(size=(200, 4)))[0]["likelihood"].scale == "learned"


@pytest.mark.parametrize("high", [4, 57])
def test_integers_that_may_be_anything_are_asked_about(high):
    x = RNG.integers(0, high, (60, 5))
    with pytest.raises(
        ValueError, match=r"NegativeBinomial\(\(5,\)\).*astype.*Categorical"
    ):
        kvae.VAE.for_data(x)
    assert type(chosen(x.astype("float32"))[0]["likelihood"]) is Normal


# === What shape ===


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 64, 64), r"np.moveaxis\(x, 1, -1\)"),
        ((1, 28, 28), r"np.moveaxis\(x, 1, -1\)"),
        ((12, 40, 40), r"np.moveaxis\(x, 1, -1\)"),
        ((100, 6), "images of 100 rows and 6 columns, or series of 100 steps with 6"),
        ((24, 7), 'data_kind="images" or data_kind="series"'),
        ((28, 1), 'data_kind="images" or data_kind="series"'),
        ((20, 20, 20), 'images with 20 channels. If they are, pass data_kind="images"'),
        ((2, 3, 4, 5), "filled array of numbers"),
        ((0,), "filled array of numbers"),
    ],
)
def test_shapes_that_may_mean_two_things_are_asked_about(shape, message):
    with pytest.raises(ValueError, match=message):
        kvae.VAE.for_data(RNG.normal(size=(4, *shape)))


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [
        ((12, 9), None, "12x9 pixels"),  # in [0, 1], and shaped like a picture
        ((28, 28), None, "convolutional networks"),
        ((60, 6), "images", "residual networks"),
        ((30, 6), "series", "30 steps with 6 features"),
        ((30,), "series", "30 steps with 1 features"),
        ((30, 6), "vectors", "examples are vectors"),
        ((2, 3, 4, 5), "vectors", "examples are vectors"),
        ((3, 9, 9), "images", "3x9 pixels with 9 channels, which is small"),
        ((70, 90, 3), None, "residual networks .*70x90 pixels with 3 channels"),
    ],
)
@pytest.mark.usefixtures("eagerly")
def test_networks_suit_the_kind_of_data_that_is_told(shape, kind, words):
    x = RNG.random((6, *shape)).astype("float32")
    parts, line = chosen(x, data_kind=kind)
    assert re.search(words, line)
    vae = kvae.VAE(**parts)
    assert vae.reconstruct(x).shape == x.shape
    assert vae.count_params() < 8e6


@pytest.mark.usefixtures("eagerly")
def test_images_may_have_latents_with_a_shape():
    x = RNG.random((6, 32, 40, 3)).astype("float32")
    vae = kvae.VAE.for_data(x, latent_dim=(8, 10, 2))
    assert "residual networks" in vae.reasons["encoder"]
    assert vae.latent_shape == vae.embed(x).shape[1:] == (8, 10, 2)
    assert vae.reconstruct(x).shape == x.shape
    assert vae.count_params() < 5e6
    with pytest.raises(
        ValueError, match=r"latent_shape=\(h, w, c\) can start with 16x20"
    ):
        kvae.VAE.for_data(x, latent_dim=(9, 9, 2))
    with pytest.raises(
        ValueError, match=r"latents of shape \(2, 2, 2\) are for images"
    ):
        kvae.VAE.for_data(RNG.normal(size=(9, 5)), latent_dim=(2, 2, 2))


def test_data_kinds_that_do_not_exist_or_fit_are_refused():
    with pytest.raises(ValueError, match="'vectors', 'images', 'series'.*'image'"):
        kvae.VAE.for_data(RNG.random((4, 9, 7)), data_kind="image")
    with pytest.raises(
        ValueError, match=r"received shape \(4, 9\).*data_kind='images'"
    ):
        kvae.VAE.for_data(RNG.random((4, 9)), data_kind="images")


@pytest.mark.usefixtures("eagerly")
def test_given_networks_need_no_kind():
    shape = (30, 7)
    parts = {
        "encoder": mlp(shape, (8,)),
        "decoder": kvae.networks.series_decoder(2, shape, (4, 4), 8),
    }
    x = RNG.normal(size=(5, *shape))
    assert np.isfinite(kvae.VAE.for_data(x, 2, **parts).elbo(x)).all()


def test_vast_networks_are_warned_of(monkeypatch):
    monkeypatch.setattr("kvae.model.default_networks._MANY_WEIGHTS", 100_000)
    with pytest.warns(
        UserWarning, match="examples of 400 numbers have 0 million weights"
    ):
        kvae.VAE.for_data(RNG.normal(size=(4, 400)), 2)


# === Units ===


def trained(vae, x, epochs, rate=3e-3):
    vae.compile(keras.optimizers.Adam(rate), jit_compile=False)
    vae.fit(x, epochs=epochs, batch_size=32, verbose=0)
    return vae


def before_and_after_training(x):
    keras.utils.set_random_seed(0)
    vae = kvae.VAE.for_data(x, 2, seed=0)
    first = vae.elbo(x, seed=1)
    trained(vae, x, 5)
    return first, vae.elbo(x, seed=1), vae.reconstruct(x)


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6)) @ rng.normal(size=(6, 6))
    found = before_and_after_training(x)
    assert np.mean(found[1] - found[0]) > 0.1  # it did learn something
    return x, found


@pytest.mark.parametrize("factor", [255.0, 1e-9, 1e9])
def test_units_change_the_density_by_their_jacobian_and_nothing_else(factor, reference):
    """log p(a x + b) = log p(x) - sum log a, after training as before."""
    x, (first, last, mean) = reference
    other = before_and_after_training(factor * (x + 3.0))
    change = 6 * np.log(factor)
    np.testing.assert_allclose(other[0], first - change, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(other[1], last - change, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(other[2] / factor - 3, mean, rtol=1e-3, atol=1e-3)


def test_density_in_the_units_of_the_data_is_scipys():
    x = RNG.normal(size=(100, 3)) * [1, 200, 1e-5] + [0, 1e4, 2e-4]
    vae = kvae.VAE.for_data(x, 2)
    z = RNG.normal(size=(100, 2)).astype("float32")
    params = vae.likelihood_params(z)
    u = vae.decoder(z).numpy() @ vae.likelihood._loc._linear.kernel.numpy()
    expected = stats.norm.logpdf((x - x.mean(0)) / x.std(0), u, 1.001).sum(1)
    expected -= np.log(x.std(0)).sum()
    np.testing.assert_allclose(vae.likelihood.log_prob(params, x), expected, rtol=2e-3)


def test_a_given_likelihood_takes_the_units_too_and_a_fixed_scale_does_not():
    x = RNG.normal(size=(50, 4)) * 255
    vae = kvae.VAE.for_data(x, 2, likelihood=Normal((4,), scale=3.0))
    params = vae.likelihood_params(np.zeros((1, 2), "float32"))
    np.testing.assert_allclose(params["scale"], np.full((1, 4), 3.0))
    np.testing.assert_allclose(params["loc"], np.full((1, 4), x.mean()), rtol=1e-4)


@pytest.mark.usefixtures("eagerly")
def test_floats_from_0_to_255_start_near_their_best_scale():
    x = RNG.integers(0, 256, (60, 8, 8)) + 0.5
    vae = kvae.VAE.for_data(x, 2)
    best = stats.norm.logpdf(x, x.mean(), x.std()).sum(axis=(1, 2)).mean()
    assert vae.elbo(x).mean() == pytest.approx(best, abs=15)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (1.7e9 + RNG.normal(size=(9, 2)), r"mean of 1.7e\+09.*Subtract 1.7e\+09 first"),
        (1e-33 * RNG.normal(size=(9, 2)), "Divide it by 1e-33 first"),
        (
            np.stack([RNG.normal(size=9), 3e8 + RNG.normal(size=9)], -1),
            r"x\[..., 1\] has a mean of 3e\+08",
        ),
    ],
)
def test_units_that_float32_does_not_hold_are_refused_with_what_to_do(x, message):
    with pytest.raises(ValueError, match=message):
        kvae.VAE.for_data(x, 2)


def test_a_given_encoder_is_told_what_it_sees(capsys):
    x = 255 * RNG.random((9, 4))
    kvae.VAE.for_data(x, 2, encoder=mlp((4,), (8,)))
    assert "the given encoder sees x as it is, from " in capsys.readouterr().out
    own = mlp((4,), (8,), preprocess=kvae.networks.Standardize())
    kvae.VAE.for_data(x, 2, encoder=own)
    assert "the given encoder" not in capsys.readouterr().out
    np.testing.assert_allclose(own.layers[1](x).numpy().std(), 1.0, rtol=0.05)
    vae = kvae.VAE.for_data(
        x, 2, encoder=lambda prepare: mlp((4,), (8,), preprocess=prepare)
    )
    np.testing.assert_allclose(vae.encoder.layers[1].scale, own.layers[1].scale)


@pytest.mark.usefixtures("eagerly")
def test_what_was_measured_is_saved(tmp_path):
    x = RNG.normal(size=(50, 4)) * 20 + 300
    vae = kvae.VAE.for_data(x, 2)
    vae.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_array_equal(again.elbo(x), vae.elbo(x))
    np.testing.assert_allclose(again.sample(50, seed=0).mean(), 300, atol=20)


@pytest.mark.parametrize(
    ("shape", "kind", "latents"),
    [
        ((28, 28), None, (16,)),
        ((32, 32, 3), None, (8, 8, 4)),
        ((64, 64, 3), None, (16, 16, 4)),
        ((128, 96, 3), None, (32, 24, 4)),
        ((256, 256, 1), None, (32, 32, 4)),
        ((45, 33), "images", (12, 9, 4)),
        ((64, 6), "series", (16,)),
        ((4096,), None, (16,)),
    ],
)
def test_large_images_get_a_map_of_latents(shape, kind, latents):
    assert choose_latents(
        shape, kind or ("images" if len(shape) > 1 else "vectors")
    ) == (latents)


def test_a_map_is_said_with_the_prior_that_it_needs_unless_parts_are_given(capsys):
    x = RNG.random((4, 32, 32, 3)).astype("float32")
    vae = kvae.VAE.for_data(x)
    assert vae.latent_shape == (8, 8, 4)
    said = capsys.readouterr().out
    assert "8x8x4 latents" in said
    assert "kvae.fit_prior(vae, x, 'flow_matching')" in said
    vector = kvae.VAE.for_data(x, prior=kvae.priors.StandardNormal(16))
    assert vector.latent_shape == (16,)
    assert "fit_prior" not in vector.reasons.get("prior", "")


# === What it is good for ===


@pytest.mark.slow
def test_skewed_data_are_reconstructed():
    """A Bernoulli, which used to be chosen, had an R2 of 0.04."""
    keras.utils.set_random_seed(0)
    x = skewed(1000)
    vae = trained(kvae.VAE.for_data(x, 16, seed=0), x, 15)
    gap = np.square(x - vae.reconstruct(x)).sum()
    assert 1 - gap / np.square(x - x.mean(0)).sum() > 0.8


def counts(num, seed):
    weights = np.random.default_rng(1).normal(size=(4, 30))
    base = np.random.default_rng(2).normal(1.5, 1.5, 30)
    rng = np.random.default_rng(seed)
    rate = np.exp(base + 0.6 * rng.normal(size=(num, 4)) @ weights)
    return rng.poisson(rng.gamma(2.0, np.minimum(rate, 2000) / 2.0))


@pytest.mark.slow
def test_counts_gain_by_their_logarithm():
    x, test = counts(400, 3), counts(300, 4)
    found = {}
    for name in ("chosen", "raw"):
        keras.utils.set_random_seed(0)
        options = {} if name == "chosen" else {"encoder": mlp((30,), (256,), "silu")}
        vae = trained(kvae.VAE.for_data(x, 4, seed=0, **options), x, 10, 1e-3)
        found[name] = vae.elbo(test, seed=0).mean()
    assert found["chosen"] > found["raw"] + 5
    # A negative binomial of each column alone, fitted by moments.
    mean, variance = x.mean(0), x.var(0)
    r = mean**2 / np.maximum(variance - mean, 1e-3)
    alone = stats.nbinom.logpmf(test, r, r / (r + mean)).sum(1).mean()
    assert found["chosen"] > alone


def test_heads_of_counts_start_at_their_means():
    x = counts(200, 3)
    vae = kvae.VAE.for_data(x, 2, likelihood=Poisson((30,)))
    mean = vae.likelihood.mean(vae.likelihood_params(np.zeros((1, 2), "float32")))
    np.testing.assert_allclose(mean[0], x.mean(0), rtol=0.02, atol=0.01)


# === The line ===


def test_one_line_says_it_all_and_keras_silences_it(capsys):
    x = RNG.random((5, 4))
    kvae.VAE.for_data(x, 2)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "Normal likelihood with one learned scale, because entries are" in printed
    assert "dense networks of standardized x, because examples are vectors" in printed
    keras.config.disable_interactive_logging()
    try:
        kvae.VAE.for_data(x, 2)
        assert capsys.readouterr().out == ""
    finally:
        keras.config.enable_interactive_logging()


def test_names_in_place_of_parts_and_data_are_answered_with_what_to_write():
    x = np.random.default_rng(0).normal(size=(40, 5)).astype("float32")
    with pytest.raises(TypeError, match=r"here kvae\.likelihoods\.Normal\(\.\.\.\)"):
        kvae.VAE.for_data(x, 2, likelihood="normal")
    with pytest.raises(TypeError, match=r"posterior must be .* received 'diagonal'"):
        kvae.VAE.for_data(x, 2, posterior="diagonal")
    with pytest.raises(ValueError, match=r"load_data\('photos/'\)\.train"):
        kvae.VAE.for_data("photos/")
