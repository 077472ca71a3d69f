"""Units are taken from the data once; densities stay in the units of x."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kvae.likelihoods import (
    Columns,
    Laplace,
    NegativeBinomial,
    Normal,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
)

REAL = {
    "normal": lambda **options: Normal((3,), **options),
    "per_dimension": lambda **options: Normal((3,), "per_dimension", **options),
    "decoder": lambda **options: Normal((3,), "decoder", **options),
    "optimal": lambda **options: Normal((3,), "optimal", **options),
    "laplace": lambda **options: Laplace((3,), **options),
    "student_t": lambda **options: StudentT((3,), **options),
}
COUNTS = [Poisson, NegativeBinomial, ZeroInflatedNegativeBinomial]

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(50, 4))
X = RNG.normal(size=(50, 3)) * [1, 1e5, 1e-4] + [0, 3e4, 7e-4]


def made(make, seed=0):
    keras.utils.set_random_seed(seed)
    part = make(dtype="float64")
    part(tf.constant(FEATURES))
    return part


@pytest.mark.parametrize("name", REAL)
def test_the_density_changes_by_the_jacobian_of_the_scaling(name):
    """log p_adapted(x) = log p((x - loc) / scale) - sum log scale, in float64."""
    plain, adapted = made(REAL[name]), made(REAL[name])
    adapted.adapt(X)
    loc, scale = X.mean(0), X.std(0)
    expected = plain.log_prob(plain(tf.constant(FEATURES)), (X - loc) / scale)
    expected -= np.log(scale).sum()
    params = adapted(tf.constant(FEATURES))
    np.testing.assert_allclose(adapted.log_prob(params, X), expected, rtol=1e-8)
    np.testing.assert_allclose(
        adapted.distribution(params).log_prob(X), expected, rtol=1e-8
    )
    unscaled = plain.mean(plain(tf.constant(FEATURES)))
    np.testing.assert_allclose(
        adapted.mean(params), loc + scale * unscaled, rtol=1e-8, atol=1e-12
    )


def test_a_fixed_scale_stays_in_the_units_of_x():
    part = made(lambda **options: Normal((3,), 2.5, **options))
    part.adapt(X)
    np.testing.assert_array_equal(part(tf.constant(FEATURES))["scale"], 2.5)


def test_the_optimal_scale_is_one_number_in_spreads_of_the_data():
    part = made(REAL["optimal"])
    part.adapt(X)
    params = part(tf.constant(FEATURES))
    best = part.calibrate(params, X)
    u = (X - params["loc"]) / X.std(0)
    expected = np.sqrt(np.mean(np.square(u))) * X.std(0)
    np.testing.assert_allclose(best["scale"][0], expected)


@pytest.mark.parametrize("cls", COUNTS)
def test_counts_start_at_the_mean_of_each_entry(cls):
    x = RNG.poisson([0.5, 30, 4000], (200, 3))
    part = made(lambda **options: cls((3,), **options))
    part.adapt(x)
    for head in part._flatten_layers(include_self=False):
        for weight in head.weights:
            if weight.shape.rank == 2:
                weight.assign(tf.zeros_like(weight))
    name = "log_rate" if cls is Poisson else "log_mean"
    found = np.exp(part(tf.constant(FEATURES))[name][0])
    np.testing.assert_allclose(found, x.mean(0) + 0.5 / 200, rtol=1e-4)
    part.adapt(np.zeros((5, 3)))  # never seen is not impossible
    assert np.isfinite(part.log_prob(part(tf.constant(FEATURES)), x[:50])).all()


def test_columns_have_units_by_kind_and_show_a_mean_where_one_is_missing():
    columns = [
        {"name": "a", "kind": "real"},
        {"name": "n", "kind": "count"},
        {"name": "b", "kind": "real"},
    ]
    x = np.stack([X[:, 0], RNG.poisson(90, 50), X[:, 1]], axis=-1)
    part = made(lambda **options: Columns(columns, **options))
    np.testing.assert_array_equal(part.neutral, np.zeros(3))
    part.adapt(x)
    np.testing.assert_allclose(part.neutral, [x[:, 0].mean(), 0, x[:, 2].mean()])
    params = part(tf.constant(FEATURES))
    np.testing.assert_allclose(params["real_scale"][0], x.std(0)[[0, 2]], rtol=2e-3)
    layer = part.preprocessing()
    layer.adapt(x)
    expected = np.log1p(x[:, 1])
    np.testing.assert_allclose(
        layer(x)[:, 1], stats.zscore(expected), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "make", [*REAL.values(), *(lambda c=c, **o: c((3,), **o) for c in COUNTS)]
)
def test_weights_saved_before_there_were_units_load(make):
    part, again = made(make, 1), made(make, 2)
    named = {"data_loc", "data_scale", "data_log_mean"}
    own = [*part._trainable_variables, *part._non_trainable_variables]
    older = [np.asarray(weight) for weight in own if weight.name not in named]
    again.load_own_variables({f"{i}": value for i, value in enumerate(older)})
    for ours, theirs in zip(
        again._trainable_variables, part._trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    store = {}
    part.adapt(np.abs(np.round(X)))
    part.save_own_variables(store)
    again.load_own_variables(store)
    for ours, theirs in zip(
        again._non_trainable_variables, part._non_trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_normal_is_exact_far_from_0():
    part = Normal((1,))
    x = np.float32(1e6) + np.arange(4, dtype="float32")
    params = {"loc": tf.fill((4, 1), 1e6), "scale": tf.fill((4, 1), 0.5)}
    expected = stats.norm.logpdf(x - 1e6, 0, 0.5)
    np.testing.assert_allclose(part.log_prob(params, x[:, None]), expected, rtol=1e-6)
