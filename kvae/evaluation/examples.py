"""Latents and densities of one example at a time, in blocks of one fixed shape.

A matrix product may round a row differently when the number of rows changes. Here every
example is decoded in the same compiled block whatever else is in the data set, and its
noise depends on the seed and its position alone. So no bit of an estimate depends on
how the data were split (or ordered, if you pass `positions`), and memory stays at one
block whatever K and N.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import MOST, check_count, check_number, check_seed, check_vae
from kvae.core.inputs import Inputs
from kvae.core.types import Params, Tensor
from kvae.noise import Noise

tfd = tfp.distributions
_T = TypeVar("_T")

_BLOCK_ENTRIES = 1 << 21  # data entries decoded at once: 8 MiB of logits, 2674 digits
_MAX_ROWS = 8192  # each call costs 1 ms, whatever its size
_MAX_ROWS_CONVOLVED = 1024  # whose maps take more memory than the data do


@dataclasses.dataclass(frozen=True)
class ExampleDraws:
    """K latents of one example and every density at them.

    Attributes:
        log_likelihood: (K,) log p(x|z_k), nats.
        log_prior: (K,) log p(z_k), nats.
        log_posterior: (K,) log q(z_k|x), nats.
        exact_rate: KL(q(z|x) || p(z)) in closed form, nats; NaN where none is known.
    """

    log_likelihood: np.ndarray
    log_prior: np.ndarray
    log_posterior: np.ndarray
    exact_rate: float

    @property
    def log_weights(self) -> np.ndarray:
        """(K,) log p(x, z_k) - log q(z_k|x), nats, in float64."""
        joint = self.log_likelihood.astype("float64") + self.log_prior
        return joint - self.log_posterior


def prepare(vae: Any, x: Any) -> Inputs:
    """Checks data for a model and builds the model if it is not built.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".

    Returns:
        inputs: numpy arrays.

    Raises:
        TypeError: if `vae` is not a VAE.
        ValueError: if the data do not fit the model.
    """
    check_vae(vae)
    inputs: Inputs = vae.complete_inputs(x)
    vae.build_for(inputs)
    return inputs


def check_positions(positions: Any, num: int) -> np.ndarray:
    """Returns the position of each example, (N,) int32: 0 .. N-1 if None."""
    if positions is None:
        return np.arange(num, dtype="int32")
    positions = np.asarray(positions)
    if positions.shape != (num,) or positions.dtype.kind not in "iu":
        raise ValueError(
            f"positions must hold one integer per example, shape ({num},); received "
            f"shape {positions.shape}, dtype={positions.dtype}."
        )
    if num and not (positions.min() >= 0 and positions.max() <= MOST):
        raise ValueError(
            "positions must be from 0 to 2**31 - 1; received "
            f"{positions.min()} to {positions.max()}."
        )
    return positions.astype("int32")


def first_rows(inputs: Inputs, count: int | None) -> Inputs:
    """Returns the first examples, as numpy arrays."""
    return Inputs(**{k: np.asarray(v)[:count] for k, v in inputs.to_dict().items()})


def within(items: Iterable[_T], seconds: float | None) -> Iterator[_T]:
    """Yields items until the time is up, but at least two."""
    if seconds is not None:
        seconds = check_number("seconds", seconds, 0)
    began = time.monotonic()
    rest = iter(items)
    yield from itertools.islice(rest, 2)
    while seconds is None or time.monotonic() - began <= seconds:
        try:  # only now: making an item is what takes the time
            yield next(rest)
        except StopIteration:
            return


def example_draws(
    vae: Any,
    x: Any,
    num_samples: int,
    seed: int = 0,
    positions: Any = None,
    tag: int = 0,
) -> Iterator[ExampleDraws]:
    """Draws K latents from q(z|x) for one example after the other.

    Args:
        vae: a `kvae.VAE`.
        x: as for `prepare`.
        num_samples: K, at least 1.
        seed: of the latents.
        positions: (N,) integers that the noise of each example depends on; pass the
            original positions to repeat an estimate on a subset or in another order.
        tag: distinguishes two uses of one seed.

    Returns:
        draws: an iterator over the N examples.
    """
    inputs = prepare(vae, x)
    num_samples = check_count("num_samples", num_samples)
    positions = check_positions(positions, len(inputs.x))
    key = tf.constant([check_seed(seed), tag], tf.int32)
    return _iterate(vae, inputs, num_samples, key, positions)


def _iterate(
    vae: Any, inputs: Inputs, num_samples: int, key: Tensor, positions: np.ndarray
) -> Iterator[ExampleDraws]:
    arrays = inputs.to_dict()
    prior = vae.prior(None) if inputs.condition is None else {}
    rows = _block_rows(vae, num_samples)
    run = _compiled_block(vae, rows, has_exact_rate(vae, inputs))
    for i, position in enumerate(positions):
        example = {
            name: tf.constant(value[i : i + 1]) for name, value in arrays.items()
        }
        place = tf.constant(position, tf.int32)
        blocks = [
            run(example, prior, key, place, tf.constant(start, tf.int32))
            for start in range(0, num_samples, rows)
        ]
        densities = np.concatenate([b[0].numpy() for b in blocks], 1)[:, :num_samples]
        yield ExampleDraws(
            densities[0], densities[1], densities[2], float(blocks[0][1])
        )


def _block_rows(vae: Any, num_samples: int) -> int:
    # Depends on the model and on K: never on the data.
    fits = max(1, _BLOCK_ENTRIES // math.prod(vae.data_shape))
    most = min(_MAX_ROWS_CONVOLVED if _convolves(vae) else _MAX_ROWS, fits)
    return math.ceil(num_samples / math.ceil(num_samples / most))


def _convolves(vae: Any) -> bool:
    return any("Conv" in type(layer).__name__ for layer in vae._flatten_layers())


def has_exact_rate(vae: Any, inputs: Inputs) -> bool:
    """Finds out whether KL(q(z|x) || p(z)) has a closed form, on one example."""
    first = {k: tf.constant(v[:1]) for k, v in inputs.to_dict().items()}
    batch = Inputs(**first)
    try:
        exact_rate(vae, vae.posterior_params(batch), vae.prior(batch.condition))
    except NotImplementedError:
        return False
    return True


def exact_rate(vae: Any, posterior: Params, prior: Params) -> Tensor:
    """Computes KL(q(z|x) || p(z)) in closed form, (B,) nats.

    Raises:
        NotImplementedError: if the pair has none.
    """
    return tfd.kl_divergence(
        vae.posterior.distribution(posterior), vae.prior.distribution(prior)
    )


def _compiled_block(vae: Any, rows: int, exact: bool) -> Callable[..., Any]:
    function = functools.partial(_block, vae, rows=rows, exact=exact)
    return compiled(vae, function)


def compiled(vae: Any, function: functools.partial[Any]) -> Callable[..., Any]:
    """Compiles a function of a model, with XLA where that is faster.

    XLA halves the time of dense networks; its convolutions on a CPU are several times
    slower than TensorFlow's own, so models that have some go without. The choice depends
    on the model alone, so that results can be repeated.

    Args:
        vae: the model that keeps the graph.
        function: a partial whose first bound argument is the model.

    Returns:
        run: the same function, compiled.
    """
    plain = vae.compiled_functions.get(function)
    if _convolves(vae):
        return plain
    fast = vae.compiled_functions.get(function, jit_compile=True)

    def run(*args: Any) -> Any:
        nonlocal fast
        try:
            return fast(*args)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            # Some operations have no XLA kernel on this device. An error of the model
            # itself raises again, from the plain graph.
            fast = plain
            return plain(*args)

    return run


def _block(
    vae: Any,
    example: dict[str, Tensor],
    prior: Params,
    key: Tensor,
    position: Tensor,
    first_sample: Tensor,
    rows: int,
    exact: bool,
) -> tuple[Tensor, Tensor]:
    inputs = Inputs(**example)
    noise = Noise(key, position, first_sample)
    draw = vae.draw(inputs, noise, rows, prior=prior or None)
    # In place of the draw's own, which the graph then leaves out.
    likelihood = vae.likelihood.log_prob_value(draw.likelihood, inputs.x, inputs.mask)
    densities = [likelihood, draw.log_prior, draw.log_posterior]
    nan = tf.constant(np.nan, draw.z.dtype)
    rate = exact_rate(vae, draw.posterior, draw.prior)[0] if exact else nan
    return tf.stack([density[:, 0] for density in densities]), rate
