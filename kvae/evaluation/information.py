"""What the nats of the rate are spent on: information, or mismatch with the prior."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count, check_seed
from kvae.core.inputs import Inputs
from kvae.core.types import Params, Tensor
from kvae.evaluation.encodings import encodings, is_factorized, marginals
from kvae.evaluation.examples import prepare
from kvae.evaluation.mmd import maximum_mean_discrepancy
from kvae.evaluation.result import Estimate, Result
from kvae.noise import counter_normal

_SMALL = (
    0.05  # an MMD that samples hardly show: a spread of 0.8 instead of 1, if D >= 2
)
_NOISE = 10.0  # over M: 3 standard deviations of the MMD of two draws of M, if D is 1
_TILE_ENTRIES = 1 << 22  # latents x examples x dimensions compared at once: 16 MiB


@dataclasses.dataclass(frozen=True)
class InformationResult(Result):
    """The rate, split: rate = mutual information + KL(aggregate || prior).

    Where posterior marginals and a factorized prior are known, the KL is split further:
    KL(aggregate || prior) = total correlation + dimension-wise KL.

    Attributes:
        rate: E log q(z|x) - log p(z), nats.
        mutual_information: I(x; z) under q(z|x) and the N examples; at most ln N.
        mutual_information_bits: the same in bits.
        aggregate_kl: KL of the aggregate posterior from the prior, nats.
        total_correlation: KL of the aggregate posterior from the product of its
            marginals, nats; None where the marginals are not known.
        dimension_wise_kl: sum over dimensions of KL of aggregate from prior, nats; None
            where the prior is not factorized.
        mmd: squared maximum mean discrepancy of aggregate from prior, unbiased: it can
            be negative.
        mmd_of_two_prior_draws: the same between two draws of the prior, for scale.
        num_examples: N, the atoms of the aggregate posterior.
        num_latents: M, latents that expectations were taken over.
        estimator: its name.
        seed: of the latents.
        warning: in words if I(x; z) is near its ceiling ln N, else "".
    """

    rate: Estimate = dataclasses.field(metadata={"unit": "nats"})
    mutual_information: Estimate = dataclasses.field(metadata={"unit": "nats"})
    mutual_information_bits: Estimate = dataclasses.field(metadata={"unit": "bits"})
    aggregate_kl: Estimate = dataclasses.field(metadata={"unit": "nats"})
    total_correlation: Estimate | None = dataclasses.field(metadata={"unit": "nats"})
    dimension_wise_kl: Estimate | None = dataclasses.field(metadata={"unit": "nats"})
    mmd: float
    mmd_of_two_prior_draws: float
    num_examples: int
    num_latents: int
    estimator: str
    seed: int
    warning: str

    @property
    def verdict(self) -> str:
        """Says in words whether the prior draws latents where those of the data are."""
        own = abs(self.mmd_of_two_prior_draws)
        numbers = f"their MMD is {self.mmd:.2g}; two draws of p(z) have {own:.2g}"
        if self.mmd <= max(_SMALL, _NOISE / self.num_latents):
            return (
                f"The latents of the data, q(z), are where p(z) draws ({numbers}), so "
                "samples come from latents that the decoder knows."
            )
        return (
            f"The latents of the data, q(z), are not where p(z) draws ({numbers}), so "
            "samples come from latents that the decoder was not trained on, and look "
            "worse than reconstructions. Fit a prior to q(z) after training: "
            "kvae.fit_prior(vae, x), or on the command line kvae fit-prior RUN, or "
            "kvae sample RUN --fit-prior."
        )


def information(
    vae: Any, x: Any, *, num_latents: int = 2000, seed: int = 0, positions: Any = None
) -> InformationResult:
    """Accounts for the information in the latents.

        q(z)    = (1/N) sum_j q(z|x_j)                       the aggregate posterior
        I(x; z) = E_q(x,z)[ log q(z|x) - log q(z) ]
        rate    = I(x; z) + KL(q(z) || p(z))

    The aggregate posterior is exact for the N given examples: every latent is compared
    with all N posteriors. So I(x; z) is the information that z has about which of the N
    examples it came from, and can't exceed ln N. A prior p(z|c) differs between
    conditions, so pass examples of one condition at a time.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        num_latents: M, at most N: latents of M examples drawn at random.
        seed: of the latents and of the choice of examples.
        positions: (N,) integers that the noise of each example depends on; 0 .. N-1 if
            None.

    Returns:
        result: nats, with standard errors over latents.

    Raises:
        ValueError: if the data do not fit the model, there are fewer than 2 examples, or
            the prior is given several conditions.

    Source: Hoffman, Johnson 2016, "ELBO surgery"; Chen et al. 2018, arXiv:1802.04942,
        for the split into total correlation and dimension-wise KL.
    """
    inputs = prepare(vae, x)
    num = len(inputs.x)
    if num < 2:
        raise ValueError(
            f"information needs at least 2 examples; received {num}. I(x; z) can't "
            "exceed ln N, so pass a few thousand."
        )
    condition = _one_condition(vae, inputs)
    num_latents = min(check_count("num_latents", num_latents, 2), num)
    coded = encodings(vae, inputs, check_seed(seed), positions)
    order = (
        np.arange(num) if positions is None else np.argsort(positions, kind="stable")
    )
    # Not the first: data sets are often in the order of their labels.
    drawn = np.random.default_rng(seed).permutation(num)[:num_latents]
    chosen = order[drawn]
    prior_params = vae.prior(condition)
    log_q, log_marginals = _aggregate(vae, coded.params, coded.z[chosen])
    log_prior = coded.log_prior[chosen].astype("float64")
    informations = coded.log_posterior[chosen].astype("float64") - log_q
    kls = log_q - log_prior

    prior = vae.prior.distribution(prior_params)
    prior_marginals = marginals(prior) if is_factorized(prior) else None
    correlation = dimension_wise = None
    if log_marginals is not None:
        correlation = Estimate.mean_of(log_q - log_marginals)
        if prior_marginals is not None:
            dimension_wise = Estimate.mean_of(log_marginals - log_prior)

    mutual = Estimate.mean_of(informations)
    fake = _prior_draws(vae, prior_params, 2 * num_latents, seed)
    return InformationResult(
        rate=Estimate.mean_of(informations + kls),
        mutual_information=mutual,
        mutual_information_bits=Estimate(
            mutual.value / math.log(2.0), mutual.standard_error / math.log(2.0)
        ),
        aggregate_kl=Estimate.mean_of(kls),
        total_correlation=correlation,
        dimension_wise_kl=dimension_wise,
        mmd=maximum_mean_discrepancy(coded.z[chosen], fake[:num_latents]),
        mmd_of_two_prior_draws=maximum_mean_discrepancy(
            fake[num_latents:], fake[:num_latents]
        ),
        num_examples=num,
        num_latents=num_latents,
        estimator=f"exact mixture of {num} posteriors at {num_latents} latents",
        seed=int(seed),
        warning=_warning(mutual.value, num),
    )


def _one_condition(vae: Any, inputs: Inputs) -> Tensor | None:
    # The c of p(z|c), (1, ...); None if one p(z) holds for all examples.
    if inputs.condition is None or not vae.prior.conditional:
        return None
    given = np.asarray(inputs.condition)
    other = (given != given[:1]).reshape(len(given), -1).any(axis=1)
    if other.any():
        raise ValueError(
            "information compares all latents with one prior, but "
            f"{type(vae.prior).__name__} has one for each condition, and example "
            f"{int(other.argmax())} has another condition than example 0. Pass "
            "examples of one condition at a time."
        )
    return tf.constant(given[:1])


def _warning(mutual_information: float, num: int) -> str:
    ceiling = math.log(num)
    if mutual_information < 0.9 * ceiling:
        return ""
    return (
        f"I(x; z) is near its ceiling ln N = {ceiling:.2f} nats: almost every example has "
        "a code of its own, so the information is at least this, and more examples would "
        "show more."
    )


def _aggregate(
    vae: Any, params: dict[str, np.ndarray], z: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    # log q(z_m), and the sum over dimensions of log q(z_m[d]), both (M,) float64
    num, dim = len(next(iter(params.values()))), z.shape[1]
    rows = max(1, _TILE_ENTRIES // (num * dim))
    rows = 1 << (rows.bit_length() - 1)
    tensors = {name: tf.constant(value) for name, value in params.items()}
    run = vae.compiled_functions.get(functools.partial(_compare, vae))
    joints, products = [], []
    for start in range(0, len(z), rows):
        tile = z[start : start + rows]
        padding = np.zeros((rows - len(tile), dim), z.dtype)
        joint, product = run(tensors, tf.constant(np.concatenate([tile, padding])))
        joints.append(joint.numpy()[: len(tile)])
        products.append(product.numpy()[: len(tile)])
    product = np.concatenate(products).astype("float64")
    known = not np.isnan(product).all()
    return np.concatenate(joints).astype("float64"), product if known else None


def _compare(vae: Any, params: Params, z: Tensor) -> tuple[Tensor, Tensor]:
    distribution = vae.posterior.distribution(params)
    by_dimension = marginals(distribution)
    count = tf.shape(next(iter(params.values())))[0]
    num = tf.cast(count, z.dtype)
    if is_factorized(distribution) and by_dimension is not None:
        each = by_dimension(z[:, None, :])  # (M, N, D)
        joint = tf.reduce_sum(each, axis=-1)
    else:
        joint = vae.posterior.log_prob(
            params, tf.broadcast_to(z[:, None, :], (tf.shape(z)[0], count, z.shape[1]))
        )
        each = None if by_dimension is None else by_dimension(z[:, None, :])
    log_q = tf.reduce_logsumexp(joint, axis=1) - tf.math.log(num)
    if each is None:
        return log_q, tf.fill(tf.shape(log_q), tf.constant(np.nan, log_q.dtype))
    products = tf.reduce_logsumexp(each, axis=1) - tf.math.log(num)  # (M, D)
    return log_q, tf.reduce_sum(products, axis=-1)


def _prior_draws(vae: Any, params: Params, num: int, seed: int) -> np.ndarray:
    key = tf.constant([seed, 0x9121], tf.int32)
    base = counter_normal(key, tf.range(num), 1, vae.prior.noise_dim)[0]
    base = tf.cast(base, vae.maths_dtype)[:, None, :]  # for p(z|c) of one condition too
    z = vae.prior.sample(params, base).numpy()
    return z.reshape(num, z.shape[-1])
