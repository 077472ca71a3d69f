import keras
import numpy as np
import pytest
import scipy.stats
from support.conditional_gaussian import log_prob

import kvae
from kvae import evaluation
from kvae.evaluation import conditional_log_likelihood


@pytest.fixture(scope="module")
def mask():
    return np.random.default_rng(3).random((40, 5)) < 0.5


def test_the_truth_lies_within_the_monte_carlo_error(correlated, vae, x, mask):
    truth = np.array([log_prob(correlated, a, m) for a, m in zip(x, mask, strict=True)])
    result = conditional_log_likelihood(vae, x, mask, num_samples=4000)
    gap = result.log_likelihood.value - truth.mean()
    assert abs(gap) < 5 * result.monte_carlo_error < 0.15
    # Something weighs: the mean of the marginals is far off.
    marginal = [log_prob(correlated, a, np.zeros(5)) for a in x]
    assert abs(np.mean(marginal) - truth.mean()) > 1
    assert result.hidden == pytest.approx((~mask).sum() / 40)


def test_candidates_give_the_truth_too(correlated, vae, x, mask):
    truth = np.array([log_prob(correlated, a, m) for a, m in zip(x, mask, strict=True)])
    result = conditional_log_likelihood(vae, x, mask, 4000, candidates_only=True)
    gap = result.log_likelihood.value - truth.mean()
    assert abs(gap) < 5 * result.monte_carlo_error < 0.15


def test_few_candidates_err_downwards(correlated, vae, x, mask):
    truth = np.mean([log_prob(correlated, a, m) for a, m in zip(x, mask, strict=True)])
    found = [
        conditional_log_likelihood(
            vae, x, mask, 2, seed, candidates_only=True
        ).log_likelihood.value
        for seed in range(20)
    ]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert np.mean(found) < truth - 3 * error


@pytest.mark.parametrize("candidates_only", [False, True])
def test_one_latent_does_not_know_its_error(vae, x, mask, candidates_only):
    found = conditional_log_likelihood(
        vae, x[:3], mask[:3], 1, candidates_only=candidates_only
    )
    assert np.isnan(found.monte_carlo_error)


@pytest.fixture(scope="module")
def completing():
    """x = (a, b) with b = 1.5 a + 2 z + 0.5 e, so p(b | a) = N(1.5 a, 4.25)."""
    keras.utils.set_random_seed(0)
    x, condition, z = (
        keras.Input((width,), name=name)
        for width, name in ((2, "x"), (4, "condition"), (1, "z"))
    )
    join = keras.layers.Concatenate()
    vae = kvae.VAE(
        keras.Model({"x": x, "condition": condition}, join([x, condition])),
        keras.Model({"z": z, "condition": condition}, join([z, condition])),
        kvae.posteriors.DiagonalNormal(1),
        kvae.likelihoods.Normal((2,), 0.5),
        kvae.priors.ConditionalNormal(1, min_scale=1e-6),
        kvae.objectives.Completion(masks="random"),
    )
    for weight in vae.prior.trainable_variables:
        if "kernel" in weight.path:
            weight.assign(np.zeros(weight.shape))
    # q(z | x) has the true mean, 8 (b - 1.5 a) / 17, and a scale above the true 0.243.
    # Its features are x without what is visible, then a, 0 and the mask.
    slopes = 8 / 17 * np.array([[0, 1, -1.5, 0, 0, 0]]).T
    vae.posterior._loc.kernel.assign(slopes)
    vae.posterior._raw_scale.kernel.assign(0 * slopes)
    vae.posterior._raw_scale.bias.assign([np.log(np.expm1(0.3))])
    kernel = np.zeros((5, 2))
    kernel[0, 1], kernel[1, 1] = 2.0, 1.5
    vae.likelihood._loc._linear.kernel.assign(kernel)
    return vae


def test_a_completing_model_wants_complete_examples_with_their_visible_part(completing):
    x = np.zeros((4, 2), "float32")
    with pytest.raises(ValueError, match="given_visible"):
        evaluation.elbo(completing, x)
    x[1, 1] = np.nan
    mask = np.tile([1.0, 0.0], (4, 1))
    with pytest.raises(ValueError, match="NaN or infinite"):
        conditional_log_likelihood(completing, x, mask, 10, candidates_only=True)


def test_a_completing_model_gives_the_truth_too(completing):
    x = np.random.default_rng(0).normal(size=(30, 2)).astype("float32")
    mask = np.tile([1.0, 0.0], (30, 1))
    result = conditional_log_likelihood(completing, x, mask, num_samples=4000)
    truth = scipy.stats.norm(1.5 * x[:, 0], np.sqrt(4.25)).logpdf(x[:, 1])
    gap = result.log_likelihood.value - truth.mean()
    assert abs(gap) < 5 * result.monte_carlo_error < 0.1
    other = conditional_log_likelihood(
        completing, x, mask, num_samples=4000, candidates_only=True
    )
    gap = other.log_likelihood.value - truth.mean()
    assert abs(gap) < 5 * other.monte_carlo_error < 0.15


def test_its_completions_have_the_mean_and_spread_of_the_truth(completing):
    x = np.array([[2.0, np.nan]], "float32")
    drawn = completing.complete(x, [[1, 0]], num=10000, mean=False)
    assert (drawn.x[..., 0] == 2.0).all()
    b = drawn.x[0, :, 1]
    assert abs(b.mean() - 3.0) < 5 * np.sqrt(4.25 / 10000)
    assert abs(b.var() / 4.25 - 1) < 5 * np.sqrt(2 / 10000)
    np.testing.assert_allclose(drawn.log_weights, -np.log(10000), rtol=1e-6)


def test_a_mask_of_another_shape_is_refused(vae, x):
    with pytest.raises(ValueError, match="mask must have the shape of x"):
        conditional_log_likelihood(vae, x, np.ones((40, 6)))
