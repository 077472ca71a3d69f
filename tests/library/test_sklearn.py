"""scikit-learn's own checks of estimators, and what the estimators are for."""

import contextlib
from unittest import SkipTest

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from kvae.sklearn import VAEImputer, VAETransformer

# It allows 1e-9, and a float32 product rounds by the row of a batch, on some processors.
ROUNDED = {"methods_sample_order_invariance"}
INHERITED = {
    *("fit_score_takes_y", "estimators_overwrite_params", "dont_overwrite_parameters"),
    *("estimators_fit_returns_self", "readonly_memmap_input", "dtype_object"),
    *("n_features_in_after_fitting", "n_features_in", "positive_only_tag_during_fit"),
    *("f_contiguous_array_estimator", "dict_unchanged", "fit_check_is_fitted"),
}
"""Of `fit` and of how data are read, which both estimators have from one class."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "left_out"), [(VAETransformer, ROUNDED), (VAEImputer, INHERITED)]
)
@pytest.mark.usefixtures("eagerly")  # dozens of fits, each of one step
def test_scikit_learn_s_own_checks(estimator, left_out) -> None:
    made = estimator(latent_dim=2, epochs=1, batch_size=1000)
    names = set()
    for fresh, check in estimator_checks_generator(made):
        name = getattr(check, "func", check).__name__.removeprefix("check_")
        names.add(name)
        if name not in left_out:
            with contextlib.suppress(SkipTest):
                check(fresh)
    assert left_out < names


@pytest.fixture(scope="module")
def wine():
    x, y = load_wine(return_X_y=True)
    return x, y


@pytest.fixture(scope="module")
def fitted(wine):
    state = np.random.get_state()[1].copy()
    estimator = VAETransformer(2, epochs=60, learning_rate=5e-3, random_state=0)
    estimator.fit(wine[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    return estimator


def test_latents_separate_wines_and_decode_to_them(wine, fitted) -> None:
    x, y = wine
    z = fitted.transform(x)
    assert z.shape == (178, 2)
    assert list(fitted.get_feature_names_out()) == ["z0", "z1"]
    assert LogisticRegression().fit(z, y).score(z, y) > 0.85
    again = fitted.inverse_transform(z)
    explained = 1 - ((again - x) ** 2).mean(axis=0) / x.var(axis=0)
    assert explained.mean() > 0.3


def test_the_score_of_a_row_depends_on_the_row_alone_and_estimates_its_elbo(
    wine, fitted
) -> None:
    x, _ = wine
    scores = fitted.score_samples(x)
    np.testing.assert_allclose(fitted.score_samples(x[50:60]), scores[50:60], rtol=1e-5)
    exact = fitted.model_.elbo(x, num_samples=1000)
    # The noise is balanced, so what is left is of the fourth order of its spread.
    assert np.abs(scores - exact).mean() < 0.15
    assert fitted.score(x) == pytest.approx(scores.mean())
    assert fitted.score(x) > fitted.score(x[:, ::-1])
    drawn = fitted.sample(300, random_state=0)
    np.testing.assert_array_equal(fitted.sample(300, random_state=0), drawn)
    error = np.abs(drawn.mean(axis=0) - x.mean(axis=0)) / x.std(axis=0)
    assert error.max() < 0.5


@pytest.mark.slow
def test_it_works_in_pipelines_and_is_cloned(wine) -> None:
    x, y = wine
    pipeline = make_pipeline(VAETransformer(2, epochs=5, random_state=0), clone_of())
    assert cross_val_score(pipeline, x, y, cv=2).shape == (2,)


def clone_of() -> LogisticRegression:
    return clone(LogisticRegression())


@pytest.mark.slow
def test_the_imputer_takes_its_steps_and_is_better_than_the_mean(
    wine, monkeypatch
) -> None:
    monkeypatch.setattr("kvae.sklearn._STEPS", 180)  # as 60 passes of 3 batches
    x, _ = wine
    hidden = np.random.default_rng(0).random(x.shape) < 0.2
    holes = np.where(hidden, np.nan, x)
    imputer = VAEImputer(4, learning_rate=5e-3, random_state=0)
    filled = imputer.fit_transform(holes)
    assert int(imputer.model_.step) == 180
    np.testing.assert_array_equal(filled[~hidden], x[~hidden])
    means = np.broadcast_to(np.nanmean(holes, axis=0), x.shape)
    scale = x.std(axis=0)
    error, of_mean = (
        np.sqrt(np.mean(((v - x) / scale)[hidden] ** 2)) for v in (filled, means)
    )
    assert error < 0.9 * of_mean
