"""The linear-Gaussian model, built once."""

import pytest
from support.linear_gaussian import LinearGaussian


@pytest.fixture(scope="session")
def correlated():
    """A model whose true posterior is correlated, so a diagonal one has a gap."""
    return LinearGaussian.random()


@pytest.fixture(scope="session")
def exact():
    """A model whose true posterior is diagonal."""
    return LinearGaussian.orthogonal()


@pytest.fixture(scope="session")
def vae(correlated):
    """The correlated model with the best diagonal posterior."""
    return correlated.vae()


@pytest.fixture(scope="session")
def x(correlated):
    return correlated.sample(40)
