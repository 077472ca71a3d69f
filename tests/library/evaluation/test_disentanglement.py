"""Disentanglement scores on representations whose score is known."""

import numpy as np
import pytest

from kvae.evaluation import (
    dci,
    disentanglement,
    factor_shapes,
    factor_vae_score,
    mutual_information_gap,
    separated_attribute_predictability,
)
from kvae.evaluation.mig import mutual_information_table


@pytest.fixture(scope="module")
def shapes():
    return factor_shapes(size=16, scales=3, rotations=4, positions=4)


@pytest.fixture(scope="module")
def perfect(shapes):
    return (shapes.factors - shapes.factors.mean(0)) / shapes.factors.std(0)


@pytest.fixture(scope="module")
def rotated(perfect):
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))
    return perfect @ rotation


@pytest.fixture(scope="module")
def noise(perfect):
    return np.random.default_rng(1).normal(size=perfect.shape)


def test_a_perfect_representation_scores_1(shapes, perfect):
    score = disentanglement(None, perfect, shapes.factors, shapes.categorical)
    assert score.mig == pytest.approx(1.0)
    assert score.sap == pytest.approx(1.0, abs=1e-6)
    assert score.factor_vae == 1.0
    assert score.dci_disentanglement > 0.97
    assert score.dci_completeness > 0.97
    assert score.dci_informativeness > 0.99


def test_scores_do_not_ask_which_latent_holds_which_factor(shapes, perfect):
    other = -3.0 * perfect[:, [4, 2, 0, 1, 3]] + 1.0
    assert mutual_information_gap(other, shapes.factors) == pytest.approx(1.0)
    assert factor_vae_score(other, shapes.factors) == 1.0


def test_a_rotated_representation_knows_all_and_separates_little(shapes, rotated):
    score = disentanglement(None, rotated, shapes.factors, shapes.categorical)
    assert score.dci_informativeness > 0.9  # nothing is lost
    assert score.mig < 0.45
    assert score.sap < 0.45
    assert score.dci_disentanglement < 0.6
    assert score.dci_completeness < 0.6
    assert 0.2 < score.factor_vae < 0.95


def test_noise_scores_nothing(shapes, noise):
    score = disentanglement(None, noise, shapes.factors, shapes.categorical)
    assert score.mig < 0.02
    assert score.sap < 0.05
    assert score.dci_disentanglement < 0.1
    assert score.dci_informativeness < 0.15
    assert score.factor_vae < 0.35  # 1/5 by chance, and a majority's luck


def test_two_latents_that_share_a_factor_lose_the_gap(shapes, perfect):
    doubled = np.concatenate([perfect, perfect[:, 1:2]], axis=1)
    # the gap of one of five factors is gone, that of the others stays
    assert mutual_information_gap(doubled, shapes.factors) == pytest.approx(0.8)
    assert separated_attribute_predictability(
        doubled, shapes.factors, shapes.categorical
    ) == pytest.approx(0.8, abs=1e-6)
    table = dci(doubled, shapes.factors, shapes.categorical)
    assert table.disentanglement > 0.97 > 0.95 > table.completeness


def test_collapsed_latents_do_not_vote(shapes, perfect):
    idle = np.random.default_rng(2).normal(size=(len(perfect), 3)) * 1e-3
    with_idle = np.concatenate([perfect, idle], axis=1)
    assert factor_vae_score(with_idle, shapes.factors) == 1.0
    assert factor_vae_score(np.zeros((len(perfect), 2)), shapes.factors) == 0.2


def test_perfect_codes_of_any_number_of_levels_score_1():
    levels = (3, 6, 40, 32)  # those of dSprites but for one
    rng = np.random.default_rng(5)
    factors = np.stack([rng.integers(0, n, 20000) for n in levels], 1)
    latents = np.concatenate([factors, np.zeros((20000, 1))], 1)
    # 20 000 draws of 32 x 40 combinations: 0.04 nats of chance information
    assert mutual_information_gap(latents, factors) > 0.97
    assert mutual_information_gap(latents, factors, 20) < 0.93
    assert factor_vae_score(latents, factors) == 1.0
    assert factor_vae_score(latents * 0.01, factors, min_variance=0.0) == 1.0


def test_mutual_information_matches_its_definition():
    rng = np.random.default_rng(3)
    factor = rng.integers(0, 3, (500, 1))
    latent = factor[:, 0] + rng.normal(size=500)
    table = mutual_information_table(latent[:, None], factor, 20)
    edges = np.linspace(latent.min(), latent.max(), 21)
    joint = (
        np.histogram2d(latent, factor[:, 0], [edges, [-0.5, 0.5, 1.5, 2.5]])[0] / 500
    )
    outer = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    expected = (joint[seen] * np.log(joint[seen] / outer[seen])).sum()
    assert table[0, 0] == pytest.approx(expected, rel=1e-6)


def test_order_does_not_matter(shapes, rotated):
    order = np.random.default_rng(4).permutation(len(rotated))
    assert mutual_information_gap(
        rotated[order], shapes.factors[order]
    ) == pytest.approx(mutual_information_gap(rotated, shapes.factors))


def test_shapes_show_every_combination_once(shapes):
    assert shapes.x.shape == (3 * 3 * 4 * 16, 16, 16, 1)
    assert shapes.x.min() == 0.0
    assert shapes.x.max() == 1.0
    assert len(np.unique(shapes.factors, axis=0)) == len(shapes.factors)
    flat = shapes.x.reshape(len(shapes.x), -1)
    assert len(np.unique(flat, axis=0)) == len(flat)  # every factor can be seen


def test_factors_are_where_they_say(shapes):
    x = shapes.x[..., 0].astype("float64")
    mass = x.sum((1, 2))
    centers = (np.arange(16) + 0.5) / 16
    is_ellipse = shapes.factors[:, 0] == 1
    column = (x.sum(1) @ centers / mass)[is_ellipse]
    row = (x.sum(2) @ centers / mass)[is_ellipse]
    np.testing.assert_allclose(column, shapes.values[is_ellipse, 3], atol=0.01)
    np.testing.assert_allclose(row, shapes.values[is_ellipse, 4], atol=0.01)
    area = mass[is_ellipse] / 16**2
    expected = np.pi * 0.55 * (0.24 * shapes.values[is_ellipse, 1]) ** 2
    np.testing.assert_allclose(area, expected, rtol=0.12)


def test_wrong_arguments_are_refused(shapes, perfect):
    with pytest.raises(ValueError, match="factor 0 has a single level"):
        mutual_information_gap(perfect, np.zeros((len(perfect), 1), int))
    with pytest.raises(ValueError, match="integer levels; received dtype=float64"):
        mutual_information_gap(perfect, perfect)
    with pytest.raises(ValueError, match=r"latents \(N, D\) and factors \(N, F\)"):
        factor_vae_score(perfect[:, 0], shapes.factors)
    with pytest.raises(ValueError, match="categorical must name each of the 5"):
        dci(perfect, shapes.factors, (True,))
    with pytest.raises(ValueError, match="size of at least 16"):
        factor_shapes(size=8)
