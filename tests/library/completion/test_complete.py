"""Completions against the conditional of a linear-Gaussian model, known exactly."""

import keras
import numpy as np
import pytest
from support.conditional_gaussian import given
from support.linear_gaussian import LinearGaussian

import kvae
from kvae.completion import candidates, resample
from kvae.completion.complete import farthest_first
from kvae.networks import masked_encoder, mlp
from kvae.noise import Noise

MASK = np.array([[1, 0, 1, 0, 0], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1]])


@pytest.fixture(scope="module")
def exact():
    return LinearGaussian.random()


@pytest.fixture(scope="module")
def vae(exact):
    """Trained on complete data, as it were: its encoder was never shown a mask."""
    return exact.vae()


@pytest.fixture(scope="module")
def x(exact):
    return exact.sample(3)


@pytest.fixture(scope="module")
def many(vae, x):
    return vae.complete(x, MASK, num=6000, num_candidates=8000, mean=False)


@pytest.mark.parametrize("row", [0, 1])
def test_draws_have_the_mean_and_covariance_of_the_conditional(exact, x, many, row):
    mean, covariance = given(exact, x[row], MASK[row])
    drawn = many.x[row][:, MASK[row] == 0]
    # Both the candidates and the choice among them are finite.
    count = 1 / (1 / 6000 + 1 / many.effective_sample_size[row])
    error = np.sqrt(np.diag(covariance) / count)
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - mean), 5 * error)
    spread = np.sqrt(np.diag(covariance))
    gap = (np.cov(drawn.T) - covariance) / np.outer(spread, spread)
    # The variance of r s for two normals of unit variance is at most 2.
    assert np.abs(gap).max() < 5 * np.sqrt(2 / count)
    assert 5 * np.sqrt(2 / count) < 0.4  # would notice a conditional that is a marginal


def test_the_weights_correct_an_encoder_that_never_saw_a_mask(vae, x, many):
    """Without them the draws would come from q(z | x with zeros), which is wrong."""
    assert (many.effective_sample_size[:2] > 200).all()
    assert (many.effective_sample_size < 8000).all()


def test_visible_entries_are_those_given_to_the_bit(vae, x, many):
    kept = np.broadcast_to(x[:, None], many.x.shape)
    visible = np.broadcast_to(MASK[:, None] == 1, many.x.shape)
    np.testing.assert_array_equal(many.x[visible], kept[visible])
    doubles = x.astype("float64") + 1e-12  # float32 would lose this
    completed = vae.complete(doubles, MASK, num=2, num_candidates=20).x
    np.testing.assert_array_equal(completed[:, 0][MASK == 1], doubles[MASK == 1])


def test_what_is_hidden_does_not_matter(vae, x):
    one = vae.complete(x, MASK, num=3, num_candidates=50)
    other = vae.complete(np.where(MASK == 1, x, np.nan), MASK, num=3, num_candidates=50)
    np.testing.assert_array_equal(one.x, other.x)


def test_the_batch_size_does_not_matter_and_the_seed_does(vae, x):
    whole = vae.complete(x, MASK, num=3, num_candidates=50)
    single = vae.complete(x, MASK, num=3, num_candidates=50, batch_size=1)
    np.testing.assert_allclose(whole.x, single.x, rtol=1e-5, atol=1e-6)
    other = vae.complete(x, MASK, num=3, num_candidates=50, seed=1)
    assert not np.array_equal(whole.x, other.x)


def test_a_family_or_a_mask_beside_the_data_says_what_is_visible(vae, x):
    family = kvae.masks.RandomEntries(0.4)
    drawn = family.draw(3, (5,), seed=7).numpy()
    by_name = vae.complete(x, family, num=2, seed=7)
    np.testing.assert_array_equal(by_name.x, vae.complete(x, drawn, 2, seed=7).x)
    beside = vae.complete({"x": x, "mask": drawn}, num=2, seed=7)
    np.testing.assert_array_equal(by_name.x, beside.x)


def test_the_most_diverse_come_first(vae, x):
    plain = vae.complete(x, MASK, num=12, num_candidates=200, mean=False)
    ordered = vae.complete(x, MASK, 12, num_candidates=200, mean=False, diverse=True)
    for row in (0, 1):
        np.testing.assert_allclose(
            np.sort(plain.x[row], axis=0), np.sort(ordered.x[row], axis=0)
        )
        np.testing.assert_array_equal(plain.x[row, 0], ordered.x[row, 0])
        first, later = ordered.x[row, 0], ordered.x[row, 1:]
        gaps = np.square(later - first).sum(axis=-1)
        assert gaps[0] == gaps.max()


def test_farthest_first_is_greedy():
    points = np.array([[0.0], [1.0], [10.0], [4.0], [10.0]])
    np.testing.assert_array_equal(farthest_first(points)[:3], [0, 2, 3])
    assert sorted(farthest_first(points)) == [0, 1, 2, 3, 4]
    assert sorted(farthest_first(np.zeros((4, 2)))) == [0, 1, 2, 3]


def test_candidates_are_chosen_as_often_as_they_weigh():
    weights = np.array([0.5, 0.0, 0.2, 0.3], "float32")
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)[:, None]
    index = resample(log_weights, Noise(np.array([1, 2], "int32")), 20000).numpy()
    counts = np.bincount(index[:, 0], minlength=4) / 20000
    error = np.sqrt(weights * (1 - weights) / 20000)
    np.testing.assert_array_less(np.abs(counts - weights), 5 * error + 1e-9)


def test_log_visible_is_the_marginal(exact, vae, x):
    mask = MASK[:1].astype("float32")
    inputs = kvae.core.inputs.Inputs(x[:1], None, mask)
    noise = Noise(np.array([0, 0], "int32"), 0)
    found = candidates(vae, inputs, noise, 8000)
    from scipy.stats import multivariate_normal

    v = MASK[0] == 1
    expected = multivariate_normal(
        exact.bias[v], exact.covariance[np.ix_(v, v)]
    ).logpdf(x[0, v])
    error = 1 / np.sqrt(found.effective_sample_size.numpy()[0])
    assert abs(found.log_visible.numpy()[0] - expected) < 5 * error < 0.3


def test_an_encoder_that_sees_the_mask_completes_too(x):
    keras.utils.set_random_seed(0)
    vae = kvae.VAE(
        masked_encoder((5,), units=(8,)),
        mlp((2,), (8,), role="decoder"),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Normal((5,)),
    )
    completed = vae.complete(x, MASK, num=4)
    assert completed.x.shape == (3, 4, 5)
    assert np.isfinite(completed.x).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask": np.ones((3, 4))}, r"shape of x, \(3, 5\); received \(3, 4\)"),
        ({"mask": np.full((3, 5), "1")}, "booleans or the numbers 0 and 1"),
        ({"mask": np.full((3, 5), 0.5)}, "only 1 .observed. and 0"),
        ({"mask": np.eye(5)[:3] * [1, 0, 1, 1, 1]}, "1 examples have no visible entry"),
        ({"mask": None}, "a mask is missing"),
        ({"mask": "left-halves"}, "one of left_half"),
        ({"mask": "left_half"}, "Half hides parts of images"),
        ({"mask": MASK, "num": 0}, "num must be an integer of at least 1; received 0"),
        ({"mask": MASK, "num_candidates": 2.5}, "num_candidates must be an integer"),
        ({"mask": MASK, "seed": -1}, "seed must be an integer from 0"),
        ({"mask": MASK, "batch_size": (1,)}, "batch_size must be an integer of at"),
    ],
)
def test_what_makes_no_sense_is_refused(vae, x, arguments, message):
    with pytest.raises(ValueError, match=message):
        vae.complete(x, **arguments)


def test_a_visible_part_that_cannot_be_is_refused():
    keras.utils.set_random_seed(0)
    x = np.array([[0.0, 1.0, 1.0]], "float32")
    vae = kvae.VAE(
        mlp((3,), (4,)),
        mlp((2,), (4,), role="decoder"),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Bernoulli((3,)),
    )
    vae.build((None, 3))
    vae.likelihood._logits._linear.bias.assign([np.nan, 0.0, 0.0])
    with pytest.raises(ValueError, match="visible part of 1 examples probability 0"):
        vae.complete(x, np.ones((1, 3)))


def test_completions_of_one_latent_are_warned_of(vae, x, caplog):
    """One candidate has an effective sample size of 1 exactly; 2000 have over 200."""
    vae.complete(x, MASK, num=2, num_candidates=2000)
    assert not caplog.messages
    vae.complete(x, MASK, num=2, num_candidates=1)
    (said,) = caplog.messages
    assert "for 2 of 2 examples, all completions come from about one latent" in said
    assert "num_candidates=4" in said


def test_what_is_missing_in_x_stays_hidden_under_another_mask(vae, x):
    holes = np.array(x[:3])
    holes[:, 0] = np.nan
    data = kvae.masks.nan_as_missing(holes)
    found = vae.complete(data, np.ones((3, 5)), num=2, seed=1)
    alone = vae.complete(data, num=2, seed=1)
    np.testing.assert_array_equal(found.x, alone.x)
    np.testing.assert_array_equal(found.x[:, 0, 1:], x[:3, 1:])
    assert np.abs(found.x[..., 0]).min() > 0  # drawn, not the filler
