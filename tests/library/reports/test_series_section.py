"""Pictures of series: bands of data, samples, reconstructions, and forecasts."""

import re

import keras
import numpy as np
import pytest

import kvae
from kvae import reports
from kvae.reports import series_section


@pytest.fixture(scope="module")
def x():
    phase = np.random.default_rng(0).uniform(0, 6, (40, 1, 1))
    steps = np.arange(12)[:, None] + np.zeros(2)
    return np.sin(steps / 2 + phase).astype("float32")


def captions(vae, x):
    page = reports.report(vae, x, results={})
    return re.findall(r"<figcaption>([^<]*)", page)


@pytest.mark.slow
def test_a_model_of_series_shows_forecasts_and_one_of_images_does_not(x):
    keras.utils.set_random_seed(0)
    vae = kvae.VAE.for_data(x, latent_dim=2, data_kind="series", seed=0)
    found = " ".join(captions(vae, kvae.series.pad([row[:10] for row in x], steps=12)))
    assert "of 40 test series (blue)" in found
    assert "Forecasts from step 9 on, given the steps before" in found
    assert "reconstructions (below)" not in found  # of pictures


@pytest.mark.slow
def test_a_completing_model_shows_what_its_masks_hide(x):
    keras.utils.set_random_seed(0)
    vae = kvae.presets.completing_vae(
        x, 2, "future", (4, 4), (8,), data_kind="series", seed=0
    )
    mask = kvae.masks.Stretch().draw(len(x), (12, 2))
    found = " ".join(captions(vae, kvae.masks.given_visible(x, mask)))
    assert "Completions of what a training mask hides" in found


def test_bands_are_the_quantiles_at_each_step():
    """Of what is observed, from the first step that is drawn."""
    drawn = []

    class Axis:
        def fill_between(self, steps, low, high, **options):
            drawn.append((steps, low, high))

        def plot(self, *arguments, **options):
            drawn.append(arguments)

    x = np.random.default_rng(0).normal(size=(200, 4))
    x[:, 1] = np.nan
    series_section._band(Axis(), 5, x, "red", "")
    (steps, low, high), (_, middle) = drawn
    np.testing.assert_array_equal(steps, [5, 7, 8])
    expected = np.quantile(x[:, [0, 2, 3]], (0.05, 0.5, 0.95), axis=0)
    np.testing.assert_allclose([low, middle, high], expected)
