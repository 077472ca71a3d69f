"""Which latent dimensions carry information, and a verdict in words."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_number
from kvae.evaluation.encodings import encodings, is_factorised, marginals
from kvae.evaluation.result import Result


@dataclasses.dataclass(frozen=True)
class LatentUsage(Result):
    """How the latent dimensions are used.

    Attributes:
        active_units: dimensions whose posterior mean varies over x by more than the
            threshold.
        latent_dim: D.
        threshold: of the variance.
        rate: nats per example, sum over dimensions and beyond.
        dimensions_for_99_percent_of_rate: how many, largest first; None where the rate
            has no split by dimension.
        collapsed: whether the latents carry (almost) nothing.
        verdict: in words, with what to try.
        num_examples: N.
        mean_variance: (D,) variance over x of the posterior mean.
        rate_per_dimension: (D,) nats; None where the posterior or the prior is not
            factorised, or the prior is conditional.
    """

    active_units: int
    latent_dim: int
    threshold: float
    rate: float = dataclasses.field(metadata={"unit": "nats per example"})
    dimensions_for_99_percent_of_rate: int | None
    collapsed: bool
    verdict: str
    num_examples: int
    mean_variance: np.ndarray
    rate_per_dimension: np.ndarray | None


def latent_usage(
    vae: Any,
    x: Any,
    threshold: float = 0.01,
    seed: int = 0,
    positions: Any = None,
) -> LatentUsage:
    """Measures which latent dimensions the model uses.

        active = #{ d : Var_x( E_q(z|x)[z[d]] ) > threshold * s }

    where s is 1, and 1/D on the unit sphere, the variance of its uniform law. The rate is
    split where it has a closed form or the densities are products of dimensions:

        rate_d = mean_x KL(q(z[d]|x) || p(z[d]))

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        threshold: variance above which a dimension is active; as a share of 1/D on the
            unit sphere.
        seed: of the latents that estimate a rate without closed form.
        positions: (N,) integers that the noise of each example depends on.

    Returns:
        usage: counts, arrays by dimension, and the verdict.

    Raises:
        ValueError: if the data do not fit the model or `threshold` is negative.

    Source: Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519, section 5.2.
    """
    threshold = check_number("threshold", threshold, 0)
    coded = encodings(vae, x, seed, positions)
    variance = coded.mean.astype("float64").var(axis=0)
    active = int((variance > threshold * vae.prior.unit_variance).sum())
    per_dimension = _rate_per_dimension(vae, x, coded)
    if per_dimension is None:
        rate = float(np.mean(coded.log_posterior.astype("float64") - coded.log_prior))
        needed = None
    else:
        rate = float(per_dimension.sum())
        needed = _needed(per_dimension)
    collapsed, verdict = _verdict(active, vae.latent_dim, rate, per_dimension)
    return LatentUsage(
        active_units=active,
        latent_dim=vae.latent_dim,
        threshold=threshold,
        rate=rate,
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
    if not (is_factorised(prior) and is_factorised(posterior)):
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


def _verdict(
    active: int, dim: int, rate: float, per_dimension: np.ndarray | None
) -> tuple[bool, str]:
    if active == 0 or rate < 0.1:
        return True, (
            f"collapsed: the latents carry {max(rate, 0.0):.2g} nats and {active} of {dim} "
            "dimensions are active, so the decoder ignores z. Try raising the weight of "
            "the KL from 0 over the first epochs, free bits, a weaker decoder, or a "
            "likelihood whose scale is learned; then train longer."
        )
    if active < dim / 2:
        return False, (
            f"{active} of {dim} dimensions are active and carry {rate:.3g} nats. The idle "
            "ones cost nothing, and a latent_dim near "
            f"{max(1, active)} would do as well. If reconstructions look too smooth, try a "
            "KL weight that rises from 0, free bits, or the IWAE objective."
        )
    if active == dim and per_dimension is not None and per_dimension.min() > 0.5:
        return False, (
            f"all {dim} dimensions are active, each with more than 0.5 nats: the code may "
            "be too narrow. Try a larger latent_dim."
        )
    return False, (
        f"{active} of {dim} dimensions are active and carry {rate:.3g} nats: no sign of "
        "collapse."
    )
