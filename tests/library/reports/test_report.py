"""The page, its pictures and the comparison."""

import base64
import json
import re
import sys
import types

import matplotlib
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian
from support.tiny_models import DIM, labels, pixels, tiny_vae

from kvae import (
    VAE,
    evaluation,
    likelihoods,
    networks,
    objectives,
    posteriors,
    priors,
    reports,
)
from kvae.core.extras import require
from kvae.core.inputs import Inputs
from kvae.reports.page import Page
from kvae.reports.pictures import (
    as_images,
    image_grid,
    observed_images,
    picture_png,
    value_range,
)


@pytest.fixture(scope="module")
def model():
    return VAE(
        networks.mlp((8, 8), (16,), "tanh"),
        networks.mlp((2,), (16,), "tanh", role="decoder"),
        posteriors.DiagonalNormal(2),
        likelihoods.Bernoulli((8, 8)),
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 2, (60, 8, 8)).astype("float32")


@pytest.fixture(scope="module")
def results(model, images):
    names = ("log_likelihood", "elbo", "information", "latents")
    return evaluation.evaluate(model, images, num_samples=32, only=names)


def test_the_page_stands_alone(model, images, results, tmp_path):
    path = tmp_path / "report.html"
    html = reports.report(
        model,
        images,
        path,
        results,
        labels=np.arange(60) % 3,
        metadata={"data": "<made>"},
        history={"elbo": [-3.0, -2.0], "val_elbo": [-3.5, -2.5]},
        title="Two & two",
    )
    assert path.read_text(encoding="utf-8") == html
    assert "<h1>Two &amp; two</h1>" in html
    assert "&lt;made&gt;" in html
    assert not re.findall(r'(?:src|href)="(?!data:)', html)  # nothing is fetched
    pictures = re.findall(r'alt="([^"]+)" src="data:image/png;base64,([^"]+)"', html)
    # rebuilt, samples, histogram, extremes, rates, map, traversals, plane, curve
    assert len(pictures) == 9
    for _, data in pictures:
        assert base64.b64decode(data).startswith(b"\x89PNG")
    value = results["log_likelihood"].log_likelihood
    assert str(value) in html
    assert results["latents"].verdict[:30] in html
    assert results["information"].verdict[:30] in html
    headings = re.findall(r"<h2>([^<]+)</h2>", html)
    assert headings[:3] == ["Examples, from usual to unusual", "Pictures", "Latents"]


def test_a_number_of_fewer_examples_says_so_at_the_top(model, images, results):
    few = evaluation.log_likelihood(model, images[:7], 8)
    html = reports.report(model, images, results={**results, "log_likelihood": few})
    assert "log p(x), nats, first 7 examples" in html
    assert "bits per dimension, first 7 examples" in html
    assert "ELBO, nats<" in html


@pytest.mark.parametrize("known", [True, False])
def test_traversals_are_said_to_be_ordered_only_if_they_are(model, images, known):
    results = {"latents": evaluation.latent_usage(model, images)} if known else {}
    html = reports.report(model, images, results=results)
    assert ("the latent with the largest rate on top" in html) == known


def test_warnings_stand_out(results):
    page = Page("t")
    page.table("x", results["log_likelihood"])
    warned = "warning" in dict(results["log_likelihood"].rows())
    assert ('<tr class="warning">' in page.html()) == warned


def test_results_go_into_json(results):
    text = json.dumps({name: result.to_dict() for name, result in results.items()})
    assert json.loads(text)["elbo"]["elbo"]["standard_error"] > 0


@pytest.mark.slow
def test_evaluate_leaves_out_what_does_not_suit(model, images):
    labels = None
    found = evaluation.evaluate(model, images[:12], labels, num_samples=8, num_hard=1)
    # Twelve examples are too few to judge the latents by.
    assert list(found) == ["log_likelihood", "elbo", "information", "gaps"]
    assert found["gaps"].num_examples == 1
    with pytest.raises(ValueError, match="unknown evaluation 'fid'; choose from"):
        evaluation.evaluate(model, images, only=("fid",))


@pytest.mark.slow
@pytest.mark.parametrize("conditional", [False, True])
def test_information_is_left_out_where_the_prior_is_conditional(conditional):
    prior = priors.ConditionalNormal(DIM) if conditional else priors.StandardNormal(DIM)
    vae = tiny_vae(
        posteriors.DiagonalNormal(DIM), prior, objectives.ELBO(), condition=True
    )
    data = {"x": pixels(12), "condition": labels(12)}
    found = evaluation.evaluate(vae, data, num_samples=8, num_hard=1)
    assert ("information" in found) is not conditional


def test_traversals_move_one_latent(model, images):
    pictures, steps = evaluation.traversals(model, images[0], [1], 5, 2.0)
    np.testing.assert_allclose(steps, [-2, -1, 0, 1, 2])
    assert pictures.shape == (1, 5, 8, 8)
    z = np.tile(np.asarray(model.encode(images[:1]).mean()), (5, 1))
    z[:, 1] = steps
    np.testing.assert_allclose(pictures[0], model.decode(z).mean(), atol=1e-6)
    with pytest.raises(ValueError, match="latent dimension 2 does not exist"):
        evaluation.traversals(model, images[0], [2])


@pytest.fixture(scope="module")
def spherical():
    return VAE(
        networks.mlp((8, 8), (16,), "tanh"),
        networks.mlp((2,), (16,), "tanh", role="decoder"),
        posteriors.PowerSpherical(2),
        likelihoods.Bernoulli((8, 8)),
        priors.UniformSphere(2),
    )


@pytest.mark.slow
def test_traversals_stay_on_the_sphere(spherical, images):
    pictures, steps = evaluation.traversals(spherical, images[0], [1], 5)
    z = np.tile(np.asarray(spherical.encode(images[:1]).mean_direction), (5, 1))
    z[:, 1] = steps
    z /= np.sqrt(np.square(z).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(pictures[0], spherical.decode(z).mean(), atol=1e-6)
    with pytest.raises(ValueError, match="are on the unit sphere"):
        evaluation.latent_grid(spherical)
    names = ("elbo", "latents")
    results = evaluation.evaluate(spherical, images, only=names)
    assert "<html" in reports.report(spherical, images, results=results)
    assert evaluation.evaluate(spherical, images, only=()) == {}


@pytest.mark.slow
def test_missing_entries_are_blue(model, images):
    mask = np.random.default_rng(1).random(images.shape) < 0.7
    data = {"x": np.where(mask, images, np.nan).astype("float32"), "mask": mask}
    results = evaluation.evaluate(model, data, only=("elbo", "latents"))
    assert "<html" in reports.report(model, data, results=results)
    few = Inputs(data["x"][:3], mask=mask[:3])
    shown = observed_images(model, few)
    assert value_range(shown) == (0.0, 1.0)
    picture = image_grid(shown[None])
    blue = (picture[..., 2] > picture[..., 0] + 0.1).sum()
    assert blue == (~mask[:3]).sum()
    assert value_range(np.array([np.nan, -1.0, 3.0])) == (-1.0, 3.0)


def test_a_single_example_has_a_page(images):
    wide = VAE(
        networks.mlp((8, 8), (16,)),
        networks.mlp((4,), (16,), role="decoder"),
        posteriors.DiagonalNormal(4),
        likelihoods.Bernoulli((8, 8)),
    )
    plane = evaluation.latent_map(wide, images[:1])
    np.testing.assert_allclose(plane.points, [[0, 0]], atol=1e-9)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-9)


def test_grid_runs_along_both_latents(model):
    pictures, steps = evaluation.latent_grid(model, 3)
    expected = model.decode(np.array([[steps[2], steps[0]]], "float32")).mean()[0]
    np.testing.assert_allclose(pictures[2, 2], expected, atol=1e-6)


def test_map_of_two_latents_is_the_means(model, images):
    plane = evaluation.latent_map(model, images)
    np.testing.assert_allclose(plane.points, model.encode(images).mean(), atol=1e-6)
    assert plane.explained == 1.0


def test_map_of_more_latents_is_the_principal_plane(images):
    wide = VAE(
        networks.mlp((8, 8), (16,)),
        networks.mlp((4,), (16,), role="decoder"),
        posteriors.DiagonalNormal(4),
        likelihoods.Bernoulli((8, 8)),
    )
    plane = evaluation.latent_map(wide, images)
    means = np.asarray(wide.encode(images).mean(), "float64")
    values = np.linalg.eigvalsh(np.cov(means.T))
    assert plane.explained == pytest.approx(values[-2:].sum() / values.sum(), rel=1e-4)
    assert plane.points.var(0, ddof=1) == pytest.approx(values[[-1, -2]], rel=1e-4)


def test_pictures_hold_the_pixels():
    images = np.array([[[[0.0, 1.0]]], [[[0.5, 2.0]]]])  # 2 rows, 1 column, 1 x 2
    picture = image_grid(images)
    assert picture.shape == (5, 4, 3)
    np.testing.assert_allclose(picture[1, 1:3, 0], [0.0, 1.0])
    np.testing.assert_allclose(picture[3, 1:3, 0], [0.5, 1.0])
    assert picture_png(picture).startswith(b"\x89PNG")

    def model_of(shape, kind=None):
        return types.SimpleNamespace(data_shape=shape, data_kind=kind)

    assert as_images(model_of((64,)), np.zeros((2, 64))).shape == (2, 8, 8, 1)
    assert as_images(model_of((5,)), np.zeros((2, 5))) is None
    assert as_images(model_of((8, 8)), np.zeros((2, 8, 8))).shape == (2, 8, 8, 1)
    assert as_images(model_of((8, 8), "series"), np.zeros((2, 8, 8))) is None
    with pytest.raises(ValueError, match="rows and columns of images"):
        image_grid(np.zeros((3, 3)))


def test_comparison_pairs_the_examples():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=500) * 10
    values = {"a": hard, "b": hard - 0.5 + 0.1 * rng.normal(size=500)}
    found = evaluation.compare(values)
    assert found.best == "a"
    assert "ahead of b" in found.verdict
    assert found.behind_best["b"].value == pytest.approx(0.5, abs=0.02)
    assert (
        found.behind_best["b"].standard_error < 0.01 < found.means["a"].standard_error
    )
    assert found.behind_best["a"].value == 0.0
    close = evaluation.compare({"a": hard, "b": hard + rng.normal(size=500)})
    assert "cannot be told apart" in close.verdict
    with pytest.raises(ValueError, match="at least 2 models"):
        evaluation.compare({"a": hard})


def test_comparison_passes_on_what_is_wrong_with_the_numbers():
    model = LinearGaussian.orthogonal()
    x = model.sample(30)
    right, wrong = model.vae(), model.vae(model.best_scale() * 0.1, shift=1.0)
    found = evaluation.compare(
        {
            n: evaluation.log_likelihood(v, x, 100)
            for n, v in (("a", right), ("b", wrong))
        }
    )
    assert found.best == "a"  # the same p(x): the encoder alone is worse
    assert found.warning.startswith("b: the weights of ")
    values = np.arange(4.0)
    never = evaluation.compare(
        {"a": values, "b": np.where(values == 2, -np.inf, values)}
    )
    assert never.verdict == "b gave probability 0 to an example of the data."
    assert never.warning == ""
    with pytest.raises(
        ValueError, match="b has NaN for 1 of 4 examples, the first at 2"
    ):
        evaluation.compare({"a": values, "b": np.where(values == 2, np.nan, values)})


def test_estimates_print_as_many_digits_as_their_error_needs():
    shown = {
        (-88.9012, 0.2345): "-88.90 ± 0.23",
        (0.00312, 0.00011): "0.00312 ± 0.00011",
        (1.5e-9, 1.2e-10): "1.5e-09 ± 1e-10",
        (0.003, 0.0): "0.003 ± 0",
        (2.0, float("nan")): "2",
    }
    for numbers, text in shown.items():
        assert str(evaluation.Estimate(*numbers)) == text


def test_a_missing_package_is_named(monkeypatch):
    assert matplotlib is not None
    monkeypatch.setitem(sys.modules, "matplotlib.image", None)
    with pytest.raises(
        ImportError,
        match=r'matplotlib, which is not installed: pip install "keras-vae\[train\]"',
    ):
        picture_png(np.zeros((2, 2, 3)))
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ImportError, match="DCI needs sklearn"):
        require("sklearn.ensemble", "DCI")
