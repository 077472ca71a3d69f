"""A small model around every specimen."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance import (
    likelihood_specimens,
    objective_specimens,
    posterior_specimens,
    prior_specimens,
)
from conformance.refusals import refusal
from conformance.specimen import Specimen

import kvae
from kvae.core.inputs import Inputs
from kvae.core.types import LossParts
from kvae.networks import mlp
from kvae.noise import Noise
from kvae.objectives import batch_mean

LATENT = 3
SPECIMENS = {
    "posterior": posterior_specimens.SPECIMENS,
    "prior": prior_specimens.SPECIMENS,
    "likelihood": likelihood_specimens.SPECIMENS,
    "objective": objective_specimens.SPECIMENS,
}
ALL = [(kind, specimen) for kind, those in SPECIMENS.items() for specimen in those]
EVERY = pytest.mark.parametrize(("kind", "specimen"), ALL, ids=lambda v: str(v))


Parts = dict[str, Specimen]


def fit(parts: Parts) -> bool:
    """Whether specimens make a model together."""
    if (likelihood := parts.get("likelihood")) and len(parts) > 1:
        if likelihood.config.get("data_shape") != (4,):
            return False  # the others are made for examples of four numbers
    for specimen in parts.values():
        for kind, (cls, _) in specimen.partners.items():
            if kind in parts and parts[kind].cls is not cls:
                return False
    posterior, prior, objective = (
        parts.get(kind, SPECIMENS[kind][0])
        for kind in ("posterior", "prior", "objective")
    )
    if objective.deterministic and ("posterior" in parts or "prior" in parts):
        return False  # it leaves them alone
    if "prior" not in parts and "prior" in posterior.partners:
        return "objective" not in parts
    return refusal(posterior, prior, objective, "sampled") is None


def together() -> list[Parts]:
    """Specimens in as few models as possible: of each kind one, while there are some."""
    left = {kind: list(those) for kind, those in SPECIMENS.items()}
    found = []
    while any(left.values()):
        parts: Parts = {}
        for kind, those in left.items():
            for specimen in those:
                if fit({**parts, kind: specimen}):
                    parts[kind] = specimen
                    those.remove(specimen)
                    break
        found.append(parts)
    return found


def name_of(parts: Parts) -> str:
    return "+".join(map(str, parts.values()))


TOGETHER = together()
IN_FEW_MODELS = pytest.mark.parametrize("parts", TOGETHER, ids=name_of)


def each_class() -> list[Parts]:
    """Of the models with all specimens those that show a class for the first time."""
    seen: set[type] = set()
    found = []
    for parts in TOGETHER:
        if new := {specimen.cls for specimen in parts.values()} - seen:
            seen |= new
            found.append(parts)
    return found


def each(kind: str) -> pytest.MarkDecorator:
    """Parametrizes a law over the specimens of one kind."""
    return pytest.mark.parametrize("specimen", SPECIMENS[kind], ids=str)


@dataclasses.dataclass(frozen=True)
class Case:
    """A built model and a batch that suits it."""

    model: kvae.VAE
    data: dict[str, np.ndarray]

    @property
    def inputs(self) -> Inputs:
        return Inputs(**{k: tf.constant(v) for k, v in self.data.items()})


def normals(rng: np.random.Generator, num: int) -> np.ndarray:
    return rng.normal(size=(num, 4)).astype("float32")


@functools.cache
def _kept(floatx: str, *arguments: Any, **options: Any) -> Any:
    network = mlp(*arguments, **options)
    return network, network.get_weights()


def kept_mlp(*arguments: Any, **options: Any) -> Any:
    """A network of earlier models, as it was at first: to make one takes as long as to
    train it for a step."""
    network, weights = _kept(keras.config.floatx(), *arguments, **options)
    network.set_weights(weights)
    return network


def compose(
    num: int = 7, seed: int = 0, make_network: Any = mlp, **specimens: Specimen
) -> Case:
    """Makes a model of some specimens, with their partners and plain parts beside them."""
    keras.utils.set_random_seed(seed)
    parts: dict[str, Any] = {}
    for specimen in specimens.values():
        for kind, (cls, config) in specimen.partners.items():
            parts[kind] = cls(**config)
    parts |= {kind: specimen.make() for kind, specimen in specimens.items()}
    likelihood = specimens.get("likelihood")
    if "likelihood" not in parts:
        parts["likelihood"] = kvae.likelihoods.Normal((4,), scale=0.5)
    if "posterior" not in parts:
        parts["posterior"] = kvae.posteriors.DiagonalNormal(LATENT)
    if "objective" not in parts and not all(s.exact_kl for s in specimens.values()):
        parts["objective"] = kvae.objectives.ELBO(kl="sampled")
    shape = parts["likelihood"].data_shape
    shapes = {s.condition_shape for s in specimens.values()} - {None}
    # An objective that makes the condition itself decides what it is.
    made = specimens["objective"].condition_shape if "objective" in specimens else None
    condition = made or next(iter(shapes), None)
    if "encoder" not in parts:
        parts["encoder"] = make_network(shape, (8,), "tanh", condition)
    if "decoder" not in parts:
        latents = (parts["posterior"].latent_dim,)
        parts["decoder"] = make_network(
            latents, (8,), "tanh", condition, role="decoder"
        )
    model = kvae.VAE(seed=0, **parts)
    rng = np.random.default_rng(seed)
    make_data = (
        likelihood.data if likelihood is not None and likelihood.data else normals
    )
    data = {"x": np.asarray(make_data(rng, num), "float32")}
    if condition is not None:
        data["condition"] = rng.normal(size=(num, *condition)).astype("float32")
    model.build({name: (None, *value.shape[1:]) for name, value in data.items()})
    return Case(model, data)


def loss(case: Case, noise: Noise, training: bool = True) -> tuple[Any, LossParts]:
    """The loss of the batch with fixed noise, and its parts."""
    data = {name: tf.constant(value) for name, value in case.data.items()}
    inputs = case.model._unpack((data,))[0]
    parts = case.model._loss_parts(inputs, noise, None, training)
    return batch_mean(parts.data_term + parts.kl_term), parts


def randomize(model: kvae.VAE, scale: float = 0.3, seed: int = 0) -> None:
    """Adds noise to every trainable weight, so that no law holds by a blank start."""
    rng = np.random.default_rng(seed)
    for v in model.trainable_variables:
        value = v + scale * rng.normal(size=v.shape)
        v.assign(value if v.constraint is None else v.constraint(value))


@functools.cache
def _in_one(name: str) -> Case:
    case = compose(**next(parts for parts in TOGETHER if name_of(parts) == name))
    randomize(case.model)
    return case


def in_one(parts: Parts) -> Case:
    """A model of `together` with random weights; made once, so do not change it."""
    return _in_one(name_of(parts))


@functools.cache
def _randomized(kind: str, name: str, accurate: bool) -> Case:
    specimen = {str(s): s for s in SPECIMENS[kind]}[name]
    if accurate:
        config = specimen.config | specimen.accurate
        specimen = dataclasses.replace(specimen, config=config)
    case = compose(**{kind: specimen})
    randomize(case.model)
    return case


def randomized(kind: str, specimen: Specimen, accurate: bool = False) -> Case:
    """A model around one specimen with random weights; made once, so do not change it."""
    return _randomized(kind, str(specimen), accurate and bool(specimen.accurate))
