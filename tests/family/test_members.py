"""What all models of the family promise."""

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.family import MEMBERS, make

X = (np.random.default_rng(0).random((40, 4, 4)) < 0.4).astype("float32")
Y = np.arange(40) % 4
SHORT = {"num_steps": 2}
NOT_TRAINED_BY_STEPS = ("pca", "factor_analysis")


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
def test_each_answers_or_says_why_not(name: str) -> None:
    model = make(name, **({} if name in NOT_TRAINED_BY_STEPS else SHORT))
    if hasattr(model, "num_samples"):
        model.num_samples = 5
    assert model.title
    assert model.models
    assert model.cost
    assert model.source
    assert model.fit(X, Y) is model
    likelihood = model.log_likelihood(X[:5], Y[:5])
    answers = {
        "sample": model.sample(3),
        "encode": model.encode(X[:5]),
        "reconstruct": model.reconstruct(X[:5]),
        "log_likelihood": None if likelihood is None else likelihood.per_example,
    }
    shapes = {
        "sample": (3, 4, 4),
        "reconstruct": (5, 4, 4),
        "log_likelihood": (5,),
    }
    for method, answer in answers.items():
        assert (answer is None) == (method in model.missing), method
        if answer is not None:
            assert np.isfinite(answer).all()
            assert answer.shape == shapes.get(method, answer.shape)
    if likelihood is not None:
        assert likelihood.method
        assert likelihood.error >= likelihood.method_error >= 0
    assert model.num_weights > 16


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean gsn or gan"):
        make("gsa")


def test_pictures_that_do_not_fit_are_refused() -> None:
    model = make("pca")
    with pytest.raises(ValueError, match="not trained; call fit"):
        model.encode(X)
    model.fit(X)
    with pytest.raises(ValueError, match=r"\(4, 4\); received \(2, 4\)"):
        model.encode(X[:, :2])
    with pytest.raises(ValueError, match="from 0 to 1"):
        model.encode(16 * X)
