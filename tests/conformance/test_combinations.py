"""Any posterior, prior and objective train together, or are refused in plain words."""

import itertools
import math
import warnings

import keras
import numpy as np
import pytest
from conformance.models import SPECIMENS, compose
from conformance.specimen import Specimen
from sklearn.datasets import load_digits

import kvae

# Real data: the four brightest pixels of scikit-learn's digits, grey levels 0 .. 16.
LEVELS = load_digits().data[:, [20, 28, 36, 43]].astype("float32")[:32]
SHAPE = (4,)
LIKELIHOODS = [
    (Specimen(kvae.likelihoods.Bernoulli, {"data_shape": SHAPE}), LEVELS / 16),
    (Specimen(kvae.likelihoods.Normal, {"data_shape": SHAPE}), LEVELS / 16),
    (Specimen(kvae.likelihoods.Poisson, {"data_shape": SHAPE}), LEVELS),
]


def first_of_each_class(specimens):
    return list({s.cls: s for s in reversed(specimens)}.values())[::-1]


def triples():
    """Every triple of classes."""
    kinds = [
        first_of_each_class(SPECIMENS[k]) for k in ("posterior", "prior", "objective")
    ]
    return [
        pytest.param(*triple, id="-".join(map(str, triple)))
        for triple in itertools.product(*kinds)
    ]


@pytest.mark.parametrize(("posterior", "prior", "objective"), triples())
def test_every_likelihood_trains_or_is_refused_clearly(posterior, prior, objective):
    trained = [
        takes_two_steps(posterior, prior, objective, likelihood, x)
        for likelihood, x in LIKELIHOODS
    ]
    # Whether latents get on with one another is no matter of the data's kind.
    assert len(set(trained)) == 1


def takes_two_steps(posterior, prior, objective, likelihood, x):
    """Whether the parts made a model; False if they were refused, in plain words."""
    parts = {"posterior": posterior, "prior": prior, "objective": objective}
    try:
        case = compose(num=32, likelihood=likelihood, **parts)
    except ValueError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        # Whoever refuses names itself or the part that it does not get on with.
        names = [specimen.cls.__name__ for specimen in parts.values()]
        assert any(name in refusal for name in names), refusal
        return False
    model, data = case.model, {**case.data, "x": x}
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
    before = model.get_weights()
    with warnings.catch_warnings():
        if objective.deterministic:  # no prior is trained, and Keras says so
            warnings.filterwarnings("ignore", "Gradients do not exist")
        for _ in range(2):
            logs = model.train_on_batch(data, return_dict=True)
    unknown = {"rate", "elbo", "bits_per_dim"} if objective.deterministic else set()
    assert {k for k, v in logs.items() if not math.isfinite(v)} == unknown, logs
    after = model.get_weights()
    assert all(np.isfinite(w).all() for w in after)
    assert any(np.any(a != b) for a, b in zip(before, after, strict=True))
    return True
