"""Which latent dimensions carry information, and a verdict in words."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_number
from kvae.core.inputs import Inputs
from kvae.evaluation.encodings import encodings, is_factorized, marginals
from kvae.evaluation.examples import prepare
from kvae.evaluation.linear_rate import linear_rate
from kvae.evaluation.result import Result
from kvae.likelihoods import Categorical

_LEAST = 20  # examples; they measure a variance to within a third
_NOTHING_TO_ENCODE = 0.5  # nats
_LITTLE = 0.25  # of the linear rate; binary data need about half of it
_CURES = (
    "Try a likelihood that suits x (one with a learned scale for gray values), a KL weight "
    "that rises from 0 over the first epochs, free bits, or a weaker decoder; then train "
    "longer."
)


@dataclasses.dataclass(frozen=True)
class LatentUsage(Result):
    """How the latent dimensions are used.

    Attributes:
        active_units: dimensions whose posterior mean varies over x by more than the
            threshold.
        latent_dim: D.
        threshold: of the variance.
        rate: nats per example, sum over dimensions and beyond.
        linear_rate: what the same number of latents would carry in the best
            linear-Gaussian model of x, in nats per example, as a yardstick. None if it
            says nothing: under conditions and masks, and for categories.
        dimensions_for_99_percent_of_rate: how many, largest first; None if the rate has
            no split by dimension.
        collapsed: whether the latents carry (almost) none of the information in x.
        verdict: in words, with what to try.
        num_examples: N.
        mean_variance: (D,) variance over x of the posterior mean.
        rate_per_dimension: (D,) nats; None if the posterior or the prior is not
            factorized, or the prior is conditional.
    """

    active_units: int
    latent_dim: int
    threshold: float
    rate: float = dataclasses.field(metadata={"unit": "nats per example"})
    linear_rate: float | None = dataclasses.field(metadata={"unit": "nats per example"})
    dimensions_for_99_percent_of_rate: int | None
    collapsed: bool
    verdict: str
    num_examples: int
    mean_variance: np.ndarray
    rate_per_dimension: np.ndarray | None


def latent_usage(
    vae: Any,
    x: Any,
    *,
    threshold: float = 0.01,
    seed: int = 0,
    positions: Any = None,
) -> LatentUsage:
    """Measures which latent dimensions the model uses.

        active = #{ d : Var_x( E_q(z|x)[z[d]] ) > threshold * s }

    where s is 1 or, on the unit sphere, 1/D, the variance of its uniform law. The rate
    is split if it has a closed form or the densities are products over dimensions:

        rate_d = mean_x KL(q(z[d]|x) || p(z[d]))

    The verdict compares the rate with `linear_rate`, the rate of a linear model of the
    same data with as many latents.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask"; N at
            least 20, and at least twice the number of latent dimensions.
        threshold: variance above which a dimension is active; as a share of 1/D on the
            unit sphere.
        seed: of the latents that estimate a rate without closed form.
        positions: (N,) integers that the noise of each example depends on.

    Returns:
        usage: counts, arrays by dimension, and the verdict.

    Raises:
        ValueError: if the data do not fit the model, are too few, or `threshold` is
            negative.

    Source: Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519, section 5.2.
    """
    threshold = check_number("threshold", threshold, 0)
    inputs = prepare(vae, x)
    if len(inputs.x) < (least := least_examples(vae)):
        raise ValueError(
            f"latent_usage compares examples: with {vae.latent_dim} latents it needs at "
            f"least {least}; received {len(inputs.x)}. Pass more, for example the test set."
        )
    coded = encodings(vae, inputs, seed, positions)
    variance = coded.mean.astype("float64").var(axis=0)
    active = int((variance > threshold * vae.prior.unit_variance).sum())
    per_dimension = _rate_per_dimension(vae, x, coded)
    if per_dimension is None:
        rate = float(np.mean(coded.log_posterior.astype("float64") - coded.log_prior))
        needed = None
    else:
        rate = float(per_dimension.sum())
        needed = _needed(per_dimension)
    linear = _linear_rate(vae, inputs)
    collapsed, verdict = _verdict(active, vae.latent_dim, rate, linear, per_dimension)
    return LatentUsage(
        active_units=active,
        latent_dim=vae.latent_dim,
        threshold=threshold,
        rate=rate,
        linear_rate=linear,
        dimensions_for_99_percent_of_rate=needed,
        collapsed=collapsed,
        verdict=verdict,
        num_examples=len(coded.z),
        mean_variance=variance,
        rate_per_dimension=per_dimension,
    )


def _rate_per_dimension(vae: Any, x: Any, coded: Any) -> np.ndarray | None:
    if vae.prior.conditional:
        return None
    prior = vae.prior.distribution(vae.prior(None))
    posterior = vae.posterior.distribution(
        {name: tf.constant(value) for name, value in coded.params.items()}
    )
    if not (is_factorized(prior) and is_factorized(posterior)):
        return None
    from_prior, from_posterior = marginals(prior), marginals(posterior)
    if from_prior is None or from_posterior is None:
        return None
    try:
        exact = posterior.distribution.kl_divergence(prior.distribution)
        return exact.numpy().astype("float64").mean(axis=0)
    except (AttributeError, NotImplementedError):
        z = tf.constant(coded.z)
        return (
            (from_posterior(z) - from_prior(z)).numpy().astype("float64").mean(axis=0)
        )


def _needed(per_dimension: np.ndarray) -> int:
    ordered = np.sort(np.maximum(per_dimension, 0.0))[::-1]
    if ordered.sum() <= 0:
        return 0
    return int(np.searchsorted(np.cumsum(ordered), 0.99 * ordered.sum()) + 1)


def least_examples(vae: Any) -> int:
    """Returns how many examples `latent_usage` needs to judge a model."""
    return max(_LEAST, 2 * int(vae.latent_dim))


def _linear_rate(vae: Any, inputs: Inputs) -> float | None:
    """The yardstick in the units that networks see; None where there is none."""
    likelihood = vae.likelihood
    kinds = [column["kind"] for column in getattr(likelihood, "columns", [])]
    if isinstance(likelihood, Categorical) or "categorical" in kinds:
        return None
    if inputs.condition is not None or inputs.mask is not None:
        return None
    x = np.asarray(inputs.x)
    prepare_x = likelihood.preprocessing()
    if prepare_x is not None:
        prepare_x.adapt(x)
        x = np.concatenate([prepare_x(x[i : i + 4096]) for i in range(0, len(x), 4096)])
    return linear_rate(x, vae.latent_dim)


def _verdict(
    active: int,
    dim: int,
    rate: float,
    linear: float | None,
    per_dimension: np.ndarray | None,
) -> tuple[bool, str]:
    carried = f"{max(rate, 0.0):.3g} nats"
    if linear is not None and max(linear, rate) < _NOTHING_TO_ENCODE:
        return False, (
            f"the latents carry {carried}, and a linear model of x with as many "
            f"latents would carry {linear:.2g}: there is hardly anything to encode."
        )
    offered = sign = ""
    if linear is not None:
        offered = f"; a linear model of x with as many latents carries {linear:.3g}"
        sign = ": no sign of collapse"
    to_encode = linear or 0.0
    if active == 0 or rate < max(0.1, 0.05 * to_encode):
        return True, (
            f"collapsed: the latents carry {carried} and {active} of {dim} dimensions are "
            f"active{offered}, so the decoder ignores z. {_CURES}"
        )
    used = f"{active} of {dim} dimensions are active and carry {carried}{offered}"
    if rate < _LITTLE * to_encode:
        return False, f"little is encoded: {used}. {_CURES}"
    if active < dim / 2:
        return False, (
            f"{used}. The idle ones cost nothing, and a latent_dim near {max(1, active)} "
            "would do as well. If reconstructions look too smooth, try a KL weight that "
            "rises from 0, free bits, or the IWAE objective."
        )
    if active == dim and per_dimension is not None and per_dimension.min() > 0.5:
        return False, (
            f"all {dim} dimensions are active, each with more than 0.5 nats, and carry "
            f"{carried}{offered}: the code may be too narrow. Try a larger latent_dim."
        )
    return False, f"{used}{sign}."
