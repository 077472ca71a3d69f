"""Linear-Gaussian models, whose scores are known in closed form."""

import pytest
from support.linear_gaussian import LinearGaussian


@pytest.fixture(scope="session")
def exact():
    """A model whose encoder is the true posterior."""
    return LinearGaussian.orthogonal()


@pytest.fixture(scope="session")
def vae(exact):
    return exact.vae()


@pytest.fixture(scope="session")
def x(exact):
    return exact.sample(200)
