"""Posteriors, priors, likelihoods and objectives train together, or refuse each other."""

import functools
import itertools
import math
import warnings

import keras
import numpy as np
import pytest
from conformance.models import SPECIMENS, compose, kept_mlp, loss, randomize
from conformance.refusals import densities_refused, prices_a_rate, refusal
from conformance.specimen import Specimen
from sklearn.datasets import load_digits
from support import small

import kvae
from kvae.noise import Noise
from kvae.objectives import ELBO

# Real data: the four brightest pixels of scikit-learn's digits, gray levels 0 .. 16.
LEVELS = load_digits().data[:, [20, 28, 36, 43]].astype("float32")[:32]
SHAPE = {"data_shape": (4,)}
FIXED = {"scale": 0.5}  # a learned one has ten times its gradient: see Positive
LIKELIHOODS = [
    Specimen(kvae.likelihoods.Bernoulli, SHAPE, lambda _, num: LEVELS[:num] / 16),
    Specimen(kvae.likelihoods.Normal, SHAPE | FIXED, lambda _, num: LEVELS[:num] / 16),
    Specimen(kvae.likelihoods.Poisson, SHAPE, lambda _, num: LEVELS[:num]),
]
POSTERIORS, PRIORS, OBJECTIVES = (
    list({s.cls: s for s in reversed(SPECIMENS[kind])}.values())[::-1]
    for kind in ("posterior", "prior", "objective")
)
RATES = ("exact", "sampled")

# The models of the first two descend what a discriminator climbs; the specimen of the third
# has features of float32, which rounds more than a small step moves.
NO_DERIVATIVE = {"Adversarial", "FactorVAE", "Perceptual"}


def with_rate(objective, rate):
    """An objective whose ELBO computes the rate in closed form, or from its draws."""
    config = dict(objective.config)
    if objective.cls is ELBO:
        config["kl"] = rate
    elif prices_a_rate(objective):
        config["objective"] = ELBO(kl=rate)
    return Specimen(
        objective.cls,
        config,
        condition_shape=objective.condition_shape,
        deterministic=objective.deterministic,
    )


def combinations():
    """Combinations in which every two parts meet, and train together if they can.

    Refusals depend on two parts and the rate, so pairs are enough. Likelihoods are in turn.
    One objective of each pair of densities, in turn too, is fast.
    """
    fast, slow = [], []
    for (i, q), (j, p) in itertools.product(enumerate(POSTERIORS), enumerate(PRIORS)):
        for k, o in enumerate(OBJECTIVES):
            turn = (k - 2 * i - j) % len(OBJECTIVES) == 0
            never = densities_refused(q, p) is not None  # whatever the rest is
            if never and not turn:
                continue
            x = LIKELIHOODS[(i + j + k) % len(LIKELIHOODS)]
            for rate in RATES if prices_a_rate(o) and not never else RATES[:1]:
                (fast if turn else slow).append((q, p, x, o, rate))
    yield from (pytest.param(*parts, id=name_of(parts)) for parts in fast)
    # Those that train first, so that refused ones only add pairs that never train.
    slow.sort(key=refused)
    met = set().union(*map(meetings, fast))
    for parts in slow:
        if new := meetings(parts) - met:
            met |= new
            yield pytest.param(*parts, id=name_of(parts), marks=pytest.mark.slow)


def refused(parts):
    """Whether the table refuses a posterior, prior, likelihood, objective, and rate."""
    q, p, _, o, rate = parts
    return refusal(q, p, o, rate) is not None


def name_of(parts):
    """The classes of the parts, and the rate."""
    return "-".join([*(part.cls.__name__ for part in parts[:-1]), parts[-1]])


def meetings(parts):
    """The pairs of parts that meet, with False, and also with True if they train."""
    q, p, _, o, rate = parts
    pairs = itertools.combinations((q.cls, p.cls, o.cls, rate), 2)
    kinds = (False,) if refused(parts) else (False, True)
    return {(*pair, trains) for pair in pairs for trains in kinds}


@pytest.mark.parametrize(
    ("posterior", "prior", "likelihood", "objective", "rate"), list(combinations())
)
def test_a_combination_trains_or_is_refused_in_these_words(
    posterior, prior, likelihood, objective, rate
):
    parts = {"posterior": posterior, "prior": prior, "likelihood": likelihood}
    parts["objective"] = with_rate(objective, rate)
    make = functools.partial(compose, make_network=kept_mlp)
    expected = refusal(posterior, prior, objective, rate)
    if expected is None:
        with small.float64():
            assert_a_step_descends(make(num=16, **parts), objective)
    else:
        with pytest.raises(ValueError, match=expected):
            make(**parts)


def assert_a_step_descends(case, objective, step=1e-7):
    """One step of gradient descent lowers the loss by step * |gradient|^2.

    To first order, and under the noise of that step: so the gradient is that of the loss,
    and the optimizer takes all of it. In float64 the second order and rounding are small.
    """
    randomize(case.model, 0.1)  # a blank start has kinks: units of relu at 0
    model, noise = case.model, Noise(keras.ops.convert_to_tensor([0, 0]))
    model.compile(keras.optimizers.SGD(step), run_eagerly=True)
    before, weights = loss(case, noise)[0], small.weights(model)
    with warnings.catch_warnings():
        if objective.deterministic:  # no prior is trained, and Keras says so
            warnings.filterwarnings("ignore", "Gradients do not exist")
        logs = model.train_on_batch(case.data, return_dict=True)
    unknown = {"rate", "elbo", "bits_per_dim"} if objective.deterministic else set()
    assert {k for k, v in logs.items() if not math.isfinite(v)} == unknown, logs
    np.testing.assert_allclose(logs["loss"], before, rtol=1e-5)
    moved = [
        np.sum(np.square((a - b) / step))
        for a, b in zip(small.weights(model), weights, strict=True)
    ]
    assert sum(moved) > 1e-3
    if objective.cls.__name__ not in NO_DERIVATIVE:
        descended = (before - loss(case, noise)[0]) / step
        np.testing.assert_allclose(descended, sum(moved), rtol=0.01)


@pytest.mark.parametrize("specimen", [*POSTERIORS, *PRIORS, *OBJECTIVES], ids=str)
def test_the_table_refuses_no_part_whatever_it_meets(specimen):
    every = itertools.product(POSTERIORS, PRIORS, OBJECTIVES, RATES)
    mine = [parts for parts in every if specimen in parts]
    assert any(refusal(*parts) is None for parts in mine)
