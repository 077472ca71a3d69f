"""The annealed chain that both directions of annealed importance sampling run."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.inputs import Inputs
from kvae.core.types import Params, Tensor
from kvae.evaluation.examples import compiled
from kvae.noise import counter_normal

tfd = tfp.distributions

_TARGET_ACCEPTANCE = 0.65  # optimal for HMC in high dimension (Beskos et al. 2013)
_ADAPTATION_RATE = 0.2  # how fast the log of the step size follows the acceptance
_FIRST_STEP = 0.3  # in standard deviations of a standard normal prior
_PILOT, _CHAIN, _MOVES = 1, 2, 3  # tags of the random streams


@dataclasses.dataclass(frozen=True)
class Annealing:
    """How a chain is annealed.

    Attributes:
        num_chains: C, chains per example.
        num_steps: T, temperatures after the first.
        num_leapfrog: leapfrog steps of one Hamiltonian move.
        start: "prior" or "posterior", the law at inverse temperature 0.
        seed: of all noise.
    """

    num_chains: int
    num_steps: int
    num_leapfrog: int
    start: str
    seed: int

    def __post_init__(self) -> None:
        if self.start not in ("prior", "posterior"):
            raise ValueError(
                f'start must be "prior" or "posterior"; received {self.start!r}.'
            )

    def temperatures(self) -> np.ndarray:
        """The inverse temperatures 0 = b_0 < ... < b_T = 1, dense at both ends.

        A sigmoid of an evenly spaced grid, as in Wu et al. 2017, arXiv:1611.04273.
        """
        grid = np.linspace(-4.0, 4.0, self.num_steps + 1)
        curve = 1.0 / (1.0 + np.exp(-grid))
        return (curve - curve[0]) / (curve[-1] - curve[0])


def check_latent_space(vae: Any) -> None:
    """Raises unless the latents are in R^D, as Hamiltonian moves need."""
    if vae.prior.space != "R^D":
        raise ValueError(
            "annealed importance sampling moves latents through all of R^D, but this "
            f"model's prior is {type(vae.prior).__name__}, on {vae.prior.space}. Use "
            "log_likelihood."
        )


def anneal(
    vae: Any,
    example: dict[str, Any],
    prior: Params,
    position: int,
    setting: Annealing,
    exact: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Runs the chains of one example: a pilot that finds step sizes, then the real ones.

    The step sizes are those of the pilot, by temperature, and fixed in the real chains,
    so that every move leaves its target invariant and the bounds hold.

    Args:
        vae: a `kvae.VAE`.
        example: arrays of one example, batch axis 1.
        prior: parameters of p(z), or empty for a conditional prior.
        position: what the noise of this example depends on.
        setting: chains, temperatures and moves.
        exact: (D,) a draw of p(z|x), to run the chains backward from; forward if None.

    Returns:
        log_weights: (C,) nats; forward E exp(w) = p(x), backward E exp(-w) = 1 / p(x).
        acceptance: mean probability of accepting a move.
    """
    tensors = {name: tf.constant(value) for name, value in example.items()}
    function = functools.partial(
        _run,
        vae,
        chains=setting.num_chains,
        start=setting.start,
        leapfrog=setting.num_leapfrog,
        length=setting.num_steps + 1,
    )
    chain = functools.partial(compiled(vae, function), tensors, prior)
    place = tf.constant(position, tf.int32)
    dtype = vae.maths_dtype
    forth = setting.temperatures()
    rises = np.diff(forth, prepend=0.0)
    sizes = tf.fill((len(forth),), tf.constant(_FIRST_STEP, dtype))
    yes, no = tf.constant(True), tf.constant(False)
    nowhere = tf.zeros((vae.latent_dim,), dtype)

    # Both directions are one program: weigh with the rise, then move at the temperature.
    key = tf.constant([setting.seed, _PILOT], tf.int32)
    path = (tf.constant(rises, dtype), tf.constant(forth, dtype))
    sizes = chain(key, place, *path, sizes, nowhere, yes, no)[2]
    key = tf.constant([setting.seed, _CHAIN], tf.int32)
    if exact is None:
        weights, accepted, _ = chain(key, place, *path, sizes, nowhere, no, no)
    else:
        back = np.concatenate([[0.0], rises[:0:-1]])
        path = (tf.constant(back, dtype), tf.constant(forth[::-1].copy(), dtype))
        goal = tf.constant(exact, dtype)
        weights, accepted, _ = chain(key, place, *path, sizes[::-1], goal, no, yes)
    return weights.numpy().astype("float64"), float(accepted)


def _run(
    vae: Any,
    example: dict[str, Tensor],
    prior: Params,
    key: Tensor,
    position: Tensor,
    rises: Tensor,
    temperatures: Tensor,
    sizes: Tensor,
    exact: Tensor,
    adapt: Tensor,
    from_exact: Tensor,
    chains: int,
    start: str,
    leapfrog: int,
    length: int,
) -> tuple[Tensor, Tensor, Tensor]:
    inputs = Inputs(**example)
    prior = prior or vae.prior(inputs.condition)
    posterior = vae.posterior_params(inputs) if start == "posterior" else {}

    def log_start(z: Tensor) -> Tensor:  # (C, 1, D) -> (C, 1)
        if start == "prior":
            return vae.prior.log_prob(prior, z)
        return vae.posterior.log_prob(posterior, z)

    def log_gain(z: Tensor) -> Tensor:  # log p(x, z) - log start(z)
        params = vae.likelihood_params(z, inputs.condition)
        gain = vae.likelihood.log_prob(params, inputs.x, inputs.mask)
        if start == "posterior":
            gain += vae.prior.log_prob(prior, z) - log_start(z)
        return gain

    def move(z: Tensor, temperature: Tensor, size: Tensor, step: Tensor) -> Any:
        kernel = tfp.mcmc.HamiltonianMonteCarlo(
            lambda z: log_start(z) + temperature * log_gain(z),
            step_size=size,
            num_leapfrog_steps=leapfrog,
        )
        seed = tf.random.experimental.stateless_fold_in(key + [0, _MOVES], position)
        seed = tf.random.experimental.stateless_fold_in(seed, step)
        z, results = kernel.one_step(z, kernel.bootstrap_results(z), seed=seed)
        chance = tf.exp(tf.minimum(results.log_accept_ratio, 0.0))
        chance = tf.where(tf.math.is_nan(chance), tf.zeros_like(chance), chance)
        return z, tf.reduce_mean(chance)

    sampler = vae.prior if start == "prior" else vae.posterior
    dim = sampler.noise_dim
    base = counter_normal(key, position[None], chains, dim, dtype=vae.maths_dtype)
    z = sampler.sample(prior if start == "prior" else posterior, base)
    z = tf.where(from_exact, exact + tf.zeros_like(z), z)

    def body(
        i: Tensor, z: Tensor, weight: Tensor, accepted: Tensor, size: Tensor, kept: Any
    ) -> tuple[Any, ...]:
        weight += rises[i] * log_gain(z)
        used = tf.where(adapt, size, sizes[i])
        z, chance = move(z, temperatures[i], used, i)
        size *= tf.exp(_ADAPTATION_RATE * (chance - _TARGET_ACCEPTANCE))
        return i + 1, z, weight, accepted + chance, size, kept.write(i, used)

    kept = tf.TensorArray(z.dtype, size=length, element_shape=())
    zero = tf.zeros((), z.dtype)
    state = (tf.constant(0), z, tf.zeros((chains, 1), z.dtype), zero, sizes[0], kept)
    *_, weight, accepted, _, kept = tf.while_loop(
        lambda i, *_: i < length, body, state, maximum_iterations=length
    )
    return weight[:, 0], accepted / length, kept.stack()
