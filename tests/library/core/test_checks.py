"""Numbers at the door: what a graph of 32 bits would take for another is refused."""

import math
import resource

import numpy as np
import pytest

import kvae
from kvae.core.checks import (
    check_count,
    check_latents,
    check_number,
    check_seed,
    check_temperature,
    is_number,
)
from kvae.core.inputs import check_finite


@pytest.mark.parametrize(
    "value", [0, -1, 1.0, 1.7, True, "3", None, 2**31, 2**32 + 1, np.int64(2**40 + 5)]
)
def test_what_is_not_a_count(value):
    with pytest.raises(ValueError, match="num must be an integer of at least 1"):
        check_count("num", value)


def test_a_count_is_below_2_to_the_31():
    """In 32 bits 2**32 + 1 is 1, and 2**40 + 5 is 5."""
    with pytest.raises(ValueError, match=r"at least 1, below 2\*\*31"):
        check_count("num", 2**32 + 1)


@pytest.mark.parametrize("value", [-1, 1.7, 2**31, 2**40 + 5, False, "1", None])
def test_what_is_not_a_seed(value):
    with pytest.raises(ValueError, match="seed must be an integer from 0"):
        check_seed(value)


def test_the_ends_of_the_range_are_taken():
    assert check_count("num", 2**31 - 1) == check_seed(np.int64(2**31 - 1)) == 2**31 - 1
    assert check_seed(0) == 0


@pytest.mark.parametrize("value", [1e39, 10**400, math.inf, math.nan, -0.1, 1j, True])
def test_what_is_not_a_temperature(value):
    """1e39 is infinite in float32."""
    with pytest.raises(ValueError, match="temperature must be"):
        check_temperature(value)
    with pytest.raises(ValueError, match="span must be a finite number of at least 0"):
        check_number("span", value, 0)


def test_a_number_is_one_in_the_dtype_that_counts():
    assert is_number(1e39, "float64")
    assert not is_number(1e39)
    assert is_number(np.float16(3))
    assert not is_number(np.True_)


@pytest.mark.parametrize(
    ("z", "message"),
    [
        ([[1.0, 2.0], [3.0]], "not an array"),
        (None, "not an array"),
        ([["a", "b"]], "numbers as z; received string"),
        (np.full((1, 2), 1e39), "too large for float32"),
        (np.full((1, 2), np.nan), "NaN"),
        (np.ones((1, 3)), r"shape \(N, 2\); received \(1, 3\)"),
    ],
)
def test_what_is_not_a_latent(z, message):
    with pytest.raises(ValueError, match=message):
        check_latents(z, (2,), "float32")


def test_entries_are_checked_in_the_precision_of_the_model():
    """The square of 1e20 is infinite in float32 and 1e40 in float64."""
    x = np.array([[0.0, 1.0], [1e20, 2.0]])
    with pytest.raises(
        ValueError, match="x holds 1 entries that are larger.*example 1"
    ):
        check_finite(x)
    check_finite(x, dtype="float64")
    check_finite(x, np.array([[1, 1], [0, 1]]))
    with pytest.raises(ValueError, match="NaN or infinite, the first in example 0"):
        check_finite(np.float16([[np.inf, 1]]))
    check_finite(np.float16([[60000, 1]]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: kvae.posteriors.DiagonalNormal(2**31 - 1),
        lambda: kvae.posteriors.DiagonalNormal((2**10, 2**11)),
        lambda: kvae.posteriors.FullNormal(1500),
        lambda: kvae.posteriors.InverseAutoregressiveFlow(2, 2**31 - 1),
        lambda: kvae.priors.GaussianMixture(2, 2**31 - 1),
        lambda: kvae.priors.VampPrior(2, (2**31 - 1,)),
        lambda: kvae.priors.RealNVP(2, num_steps=2**31 - 1),
        lambda: kvae.likelihoods.Normal((2**14, 2**15), "per_dimension"),
        lambda: kvae.likelihoods.Categorical((4,), 2**31 - 1),
        lambda: kvae.networks.mlp((4,), (2**31 - 1,)),
        lambda: kvae.networks.conv_encoder((8, 8), (2**31 - 1,)),
        lambda: kvae.networks.residual_decoder(2**31 - 1, (8, 8)),
        lambda: kvae.networks.OneHot(2**31 - 1),
        lambda: kvae.VAE.for_data(np.eye(6), 2**31 - 1),
    ],
)
def test_what_no_machine_holds_is_refused_before_memory_is_taken(make):
    """Each would take 4 GB or far more; the peak of memory hardly moves."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"from [012] to|at most"):
        make()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
