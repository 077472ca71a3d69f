"""Scores against closed forms of the linear-Gaussian model, and against NumPy."""

import io

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.neighbors import LocalOutlierFactor
from support.linear_gaussian import LinearGaussian

import kvae
from kvae.detection import scores
from kvae.detection.scores.complexity_ratio import png_bits, predicted_bits
from kvae.detection.scores.latent_distance import mean_and_precision


def test_minus_the_elbo_is_minus_log_p_if_the_encoder_is_exact(exact, vae, x):
    # With the true posterior every importance weight is p(x); the closed-form rate and
    # sampled distortion of the ELBO leave Monte-Carlo noise.
    np.testing.assert_allclose(
        scores.NegativeImportanceBound(8)(vae, x), -exact.log_prob(x), rtol=1e-4
    )
    many = scores.NegativeELBO(2000)(vae, x[:20])
    np.testing.assert_allclose(many, -exact.log_prob(x[:20]), atol=0.25)


def test_distortion_is_its_closed_form(exact, vae, x):
    """-E_q log N(x; W z, s^2) = (|x - W m|^2 + tr(W S W')) / 2 s^2 + log normalizer."""
    mean = x @ exact.gain.T
    spread = np.trace(exact.weights @ exact.posterior_covariance @ exact.weights.T)
    away = np.square(x - mean @ exact.weights.T).sum(1) + spread
    wanted = away / (2 * exact.noise**2) + 3 / 2 * np.log(2 * np.pi * exact.noise**2)
    got = scores.Distortion(4000)(vae, x[:20])
    # Each of D latents adds noise of variance ~ 1 / 2 nats^2 per draw.
    np.testing.assert_allclose(got, wanted[:20], atol=6 * np.sqrt(2 / 4000) * 3)


def test_reconstruction_probability_is_a_mean_of_probabilities(exact, vae, x):
    one = scores.ReconstructionProbability(1)(vae, x)
    np.testing.assert_allclose(one, scores.Distortion(1)(vae, x), rtol=1e-6)
    # By Jensen's inequality, from the same latents.
    assert (
        scores.ReconstructionProbability(16)(vae, x) <= scores.Distortion(16)(vae, x)
    ).all()


def test_error_is_that_of_the_reconstruction(vae, x):
    wanted = np.sqrt(np.square(x - vae.reconstruct(x)).mean(axis=1))
    np.testing.assert_allclose(scores.ReconstructionError()(vae, x), wanted, rtol=1e-5)
    mask = np.ones_like(x)
    mask[:, 2] = 0
    masked = {"x": x, "mask": mask}
    away = np.square(x - vae.reconstruct(masked))[:, :2].mean(axis=1)
    found = scores.ReconstructionError()(vae, masked)
    np.testing.assert_allclose(found, np.sqrt(away), rtol=1e-5)


def test_regret_is_what_the_encoder_loses_against_the_best_q():
    """max_q ELBO - ELBO = gap(shifted q) - gap(best diagonal q), the same for all x."""
    model = LinearGaussian.random()
    scale = 0.7 * model.best_scale()
    vae = model.vae(scale, shift=0.3)
    wanted = model.gap(scale, 0.3) - model.gap(model.best_scale())
    regret = scores.LikelihoodRegret(200, num_samples=256)(vae, model.sample(20))
    assert wanted > 0.3
    np.testing.assert_allclose(regret, wanted, rtol=0.1)
    right = scores.LikelihoodRegret(50)(model.vae(), model.sample(5))
    assert (right < 0.1 * wanted).all()


def test_regret_of_an_example_does_not_depend_on_its_batch(vae, x):
    score = scores.LikelihoodRegret(20)
    alone = np.concatenate([score(vae, x[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(score(vae, x)[:3], alone, atol=1e-4)


def test_distance_is_that_of_mahalanobis(vae, x):
    score = scores.LatentDistance()
    score.fit(vae, x[:100])
    means = vae.embed(x)
    mean, precision = mean_and_precision(means[:100], shrinkage=1e-3)
    covariance = np.cov(means[:100].T)
    shrunk = 0.999 * covariance + 0.001 * np.trace(covariance) / 2 * np.eye(2)
    np.testing.assert_allclose(precision, np.linalg.inv(shrunk), rtol=1e-6)
    away = means - mean
    wanted = np.einsum("ni,ij,nj->n", away, precision, away)
    np.testing.assert_allclose(score(vae, x), wanted, rtol=1e-3, atol=1e-4)


def test_an_unfitted_score_says_what_is_missing(vae, x):
    with pytest.raises(ValueError, match="call fit"):
        scores.LatentDistance()(vae, x)


def code_length(picture):
    """The code of one gray picture in plain Python: filter 3 of PNG, then Elias gamma."""
    bits, picture = 0, picture.astype(int)
    for i, row in enumerate(picture):
        for j, value in enumerate(row):
            left = picture[i, j - 1] if j else 0
            above = picture[i - 1, j] if i else 0
            error = value - (left + above) // 2
            symbol = (
                2 * error if error > 0 else 1 - 2 * error
            )  # 0, 1, -1, ... -> 1, 2, 3
            bits += len(f"{symbol:b}") * 2 - 1  # zeros before a number in binary
    return bits


def test_the_code_is_a_real_one_and_counts_its_bits():
    random = np.random.default_rng(0)
    levels = random.integers(0, 256, (4, 9, 7)).astype("uint8")
    levels[1] = 0
    levels[2] //= 64
    bits = predicted_bits(levels.astype("float32")).numpy()
    np.testing.assert_array_equal(bits, [code_length(each) for each in levels])
    assert bits[1] == 63  # one bit for each pixel that is as predicted
    color = np.stack([levels[:1], levels[1:2], levels[2:3]], axis=-1)
    assert predicted_bits(color.astype("float32")).numpy() == bits[:3].sum()


def test_png_bits_are_those_of_the_file():
    levels = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 1)).astype("uint8")
    file = io.BytesIO()
    Image.fromarray(levels[0, ..., 0]).save(file, "PNG", optimize=True)
    assert png_bits(levels)[0] == 8 * len(file.getvalue())
    with pytest.raises(ValueError, match="prediction"):
        png_bits(np.zeros((2, 5), "uint8"))


@pytest.fixture(scope="module")
def pictures():
    """Smooth gray pictures and a model that has barely seen them."""
    random = np.random.default_rng(0)
    place = random.uniform(2, 6, size=(80, 1, 1, 2))
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1)
    x = np.exp(-np.square(grid - place).sum(-1) / 8)[..., None].astype("float32")
    keras.utils.set_random_seed(0)
    return kvae.VAE.for_data(x, latent_dim=2), x


@pytest.mark.parametrize("code", ["prediction", "png"])
def test_complexity_is_minus_the_elbo_in_bits_of_levels_less_the_code(pictures, code):
    vae, x = pictures
    score = scores.ComplexityRatio(8, code)
    score.fit(vae, x)
    levels = np.round(x * 255)
    bits = scores.NegativeELBO(8)(vae, x) / np.log(2) + 64 * np.log2(255)
    if code == "png":
        wanted = bits - png_bits(levels.astype("uint8"))
    else:
        wanted = bits - [code_length(each) for each in levels[..., 0]]
    np.testing.assert_allclose(score(vae, x), wanted, rtol=1e-4)


def test_complexity_is_of_pictures(vae, x):
    with pytest.raises(ValueError, match="score of pictures"):
        scores.ComplexityRatio().fit(vae, x)


def test_neighbors_are_those_of_a_full_table_of_distances(vae, x):
    score = scores.NeighborDistance(3)
    score.fit(vae, x[:60])
    means = vae.embed(x).astype("float64")
    table = np.sqrt(np.square(means[:, None] - means[None, :60]).sum(-1))
    wanted = np.sort(table, axis=1)[:, :3].mean(axis=1)
    np.testing.assert_allclose(score(vae, x), wanted, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="at least 5 examples"):
        scores.NeighborDistance().fit(vae, x[:4])


def test_the_local_outlier_factor_is_that_of_scikit_learn(vae, x):
    score = scores.LocalOutlierFactor(7)
    score.fit(vae, x[:120])
    means = vae.embed(x)
    peer = LocalOutlierFactor(n_neighbors=7, novelty=True).fit(means[:120])
    wanted = -peer.score_samples(means[120:])
    np.testing.assert_allclose(score(vae, x[120:]), wanted, rtol=1e-3)
    far = x[:5] + 30.0
    assert score(vae, far).min() > 2 * wanted.max()
    with pytest.raises(ValueError, match="more than 20 examples"):
        scores.LocalOutlierFactor().fit(vae, x[:20])


@pytest.mark.slow
def test_combined_scores_are_a_sum_in_their_own_spreads(vae, x):
    parts = [scores.NegativeELBO(4), scores.NeighborDistance(3)]
    both = scores.Combined(parts)
    both.fit(vae, x, seed=1)
    order = np.random.default_rng(1).permutation(len(x))
    units, rest = np.sort(order[:100]), np.sort(order[100:])
    neighbor = scores.NeighborDistance(3)
    neighbor.fit(vae, x[rest])
    wanted = 0.0
    for score in (scores.NegativeELBO(4), neighbor):
        values = score(vae, x, seed=1)
        middle, high = np.quantile(values[units], (0.5, 0.9))
        wanted = wanted + (values - middle) / (high - middle)
    np.testing.assert_allclose(both(vae, x, seed=1), wanted, rtol=1e-3, atol=1e-3)
    again = scores.make_score("combined", **both.get_config())
    again.fitted = both.fitted
    np.testing.assert_array_equal(again(vae, x), both(vae, x))
    with pytest.raises(ValueError, match="at least one Score"):
        scores.Combined([])


def test_pictures_are_compared_with_their_complexity_and_tables_are_not(vae, pictures):
    names = [each.name for each in scores.choose_score(vae)[0].scores]
    assert names == ["elbo", "neighbor_distance"]
    chosen, reason = scores.choose_score(pictures[0])
    names = [each.name for each in chosen.scores]
    assert names == ["reconstruction_error", "complexity_ratio", "neighbor_distance"]
    assert "because examples are pictures" in reason


@pytest.mark.slow
def test_the_ratio_to_the_model_itself_is_nothing(vae, x):
    np.testing.assert_array_equal(scores.BackgroundRatio(vae)(vae, x), 0.0)
    wide = LinearGaussian.orthogonal(noise=2.0).vae()
    difference = scores.NegativeELBO(16)(vae, x) - scores.NegativeELBO(16)(wide, x)
    np.testing.assert_allclose(scores.BackgroundRatio(wide)(vae, x), difference)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow)
        if name == "likelihood_regret"  # which optimizes for each example
        else name
        for name in sorted(
            set(scores.SCORES) - {"background_ratio", "complexity_ratio", "combined"}
        )
    ],
)
def test_every_score_is_higher_far_away_and_has_its_words(name, vae, x):
    score = scores.make_score(name)
    score.fit(vae, x)
    usual = score(vae, x)
    assert usual.shape == (len(x),)
    assert usual.dtype == np.float64
    far = score(vae, x[:20] + np.float32(8.0))
    assert np.median(far) > np.quantile(usual, 0.9)
    assert score.unit
    assert "Source:" in type(score).__doc__
    # The same example has the same score wherever it stands.
    np.testing.assert_allclose(score(vae, x[7:9]), usual[7:9], rtol=1e-4, atol=1e-4)
    again = type(score)(**score.get_config())
    again.fitted = score.fitted
    np.testing.assert_array_equal(again(vae, x), usual)


def test_an_unknown_score_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean likelihood_regret"):
        scores.make_score("likelihood_regrets")
    with pytest.raises(ValueError, match="instance"):
        scores.make_score(scores.NegativeELBO)


def test_scores_of_an_impossible_example_are_the_worst():
    """A Bernoulli model gives a pixel of 1 that it is sure is 0 a large finite score."""
    x = (np.arange(16).reshape(2, 8) % 3 == 0).astype("float32")
    vae = kvae.VAE.for_data(np.repeat(x, 8, axis=0), latent_dim=2)
    assert np.isfinite(scores.NegativeELBO()(vae, 1 - x)).all()
