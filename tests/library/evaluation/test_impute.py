import numpy as np
import pytest
from support.conditional_gaussian import given

from kvae.evaluation import impute


@pytest.fixture(scope="module")
def mask():
    mask = np.random.default_rng(0).random((40, 5)) < 0.5
    mask[0], mask[1] = True, False
    return mask


@pytest.fixture(scope="module")
def result(vae, x, mask):
    return impute(vae, x, mask, num_samples=4000, num_imputations=50)


def test_single_imputation_is_the_conditional_mean(correlated, x, mask, result):
    ratios = []
    for i in range(len(x)):
        mean, covariance = given(correlated, x[i], mask[i])
        error = np.sqrt(np.diag(covariance) / result.per_example_ess[i])
        ratios += list((result.single[i][~mask[i]] - mean) / error)
    assert np.abs(ratios).max() < 5
    # The errors are of the size that the effective sample size says, so they are not
    # small by a fault that makes every tolerance wide.
    assert 0.2 < np.sqrt(np.mean(np.square(ratios))) < 1.5


def test_multiple_imputations_spread_as_the_conditional_does(
    correlated, x, mask, result
):
    shares = []
    for i in range(1, len(x)):
        mean, covariance = given(correlated, x[i], mask[i])
        drawn = result.multiple[i][:, ~mask[i]]
        z = (drawn - mean) / np.sqrt(np.diag(covariance))
        shares.append(np.square(z).mean())
    # Each is a mean of 50 squares of standard normals, of which several depend on one
    # another, plus what the finite number of latents adds.
    assert abs(np.mean(shares) - 1) < 5 * np.std(shares) / np.sqrt(len(shares)) < 0.3


def test_observed_entries_stay_and_all_missing_rows_are_filled(x, mask, result):
    np.testing.assert_array_equal(result.single[mask], x[mask])
    repeated = np.broadcast_to(mask[:, None], result.multiple.shape)
    originals = np.broadcast_to(x[:, None], result.multiple.shape)
    np.testing.assert_array_equal(result.multiple[repeated], originals[repeated])
    assert np.isfinite(result.single).all()
    assert result.missing == pytest.approx(1 - mask.mean())


def test_nan_is_missing_where_the_user_says_so(vae, x, mask, result):
    holes = np.where(mask, x, np.nan)
    again = impute(vae, holes, num_samples=4000, nan_as_missing=True)
    np.testing.assert_array_equal(again.single, result.single)
    assert again.multiple is None
    with pytest.raises(ValueError, match="a mask is missing"):
        impute(vae, holes)
    with pytest.raises(ValueError, match="received a mask too"):
        impute(vae, holes, mask, nan_as_missing=True)


def test_few_latents_are_told(vae, x, mask):
    result = impute(vae, x, mask, num_samples=20)
    assert "Raise num_samples" in result.warning
    assert "Raise num_samples" in str(result)


def test_images_are_imputed_too(digits_vae, digits):
    mask = np.ones(digits.shape)
    mask[:, :, :4] = 0
    result = impute(digits_vae, digits, mask, num_samples=50, num_imputations=2)
    assert result.single.shape == digits.shape
    assert result.multiple.shape == (len(digits), 2, 8, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "num_samples must be an integer of at least 1"),
        ({"num_imputations": -1}, "num_imputations must be an integer of at least 0"),
        ({"seed": 1.5}, "seed must be an integer"),
        ({"mask": np.ones((40, 4))}, "mask must have the shape of x"),
    ],
)
def test_what_makes_no_sense_is_refused(vae, x, mask, arguments, message):
    with pytest.raises(ValueError, match=message):
        impute(vae, x, **{"mask": mask, **arguments})


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    return (load_digits().images[:6] / 16).astype("float32")


@pytest.fixture(scope="module")
def digits_vae(digits):
    import kvae

    return kvae.VAE.for_data(digits, 3, seed=0)
