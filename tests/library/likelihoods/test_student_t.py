import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from support.likelihood_checks import assert_draws_follow_cdf, doubles, entries

from kvae.likelihoods import StudentT


@pytest.mark.parametrize("df", [1.01, 4.0, 200.0])
@pytest.mark.parametrize("scale", [1e-6, 0.3, 1e6])
def test_log_prob_is_scipys(df, scale):
    part = StudentT((1,), dtype="float64")
    x = np.array([-1e6, -2.0, 0.5, 0.5 + 1e-9, 30.0])
    np.testing.assert_allclose(
        entries(part, doubles(loc=0.5, scale=scale, df=df), x),
        stats.t.logpdf(x, df, 0.5, scale),
        rtol=1e-10,
    )


def test_a_large_df_is_the_normal_distribution():
    part = StudentT((1,), dtype="float64")
    x = np.array([-3.0, 0.0, 2.0])
    np.testing.assert_allclose(
        entries(part, doubles(loc=0.0, scale=1.0, df=1e9), x),
        stats.norm.logpdf(x),
        atol=1e-7,
    )


def test_float32_survives_where_the_square_overflows():
    part = StudentT((1,))
    params = {
        k: tf.constant([[v]]) for k, v in {"loc": 0.0, "scale": 1e-3, "df": 4.0}.items()
    }
    log_prob = part.log_prob(params, tf.constant([[1e20]]))
    expected = stats.t.logpdf(1e20, 4.0, 0.0, 1e-3)
    np.testing.assert_allclose(log_prob, [expected], rtol=1e-5)


def test_draws_follow_the_distribution_function():
    part = StudentT((1,), dtype="float64")
    params = doubles(loc=[[0.5]], scale=[[2.0]], df=[[3.0]])
    assert_draws_follow_cdf(part, params, stats.t(3.0, 0.5, 2.0).cdf)


def test_learned_df_starts_at_five():
    part = StudentT((2,))
    params = part(tf.zeros((1, 3)))
    np.testing.assert_allclose(params["df"], [[5.0, 5.0]], rtol=1e-6)


@pytest.mark.parametrize("df", [1.0, 0, "decoder", float("inf")])
def test_df_without_a_mean_is_refused(df):
    with pytest.raises(ValueError, match="StudentT expects df .*received"):
        StudentT((1,), df=df)
