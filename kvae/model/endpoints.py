"""What a trained model computes for its users, as pure functions on tensors.

The methods of `kvae.VAE` and every exported file run these very functions, so the names,
dtypes and meanings are the same in Keras, in a SavedModel and on a phone. All noise
comes from `seed` and the position of an example. There is no state, and no number
depends on how the examples were split into batches.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.masks import visible_part
from kvae.noise import Noise


def shaped(model: Any, z: Tensor) -> Tensor:
    """Gives flat latents (B, D) the shape in which users see them: (B, *latent_shape)."""
    if len(model.latent_shape) == 1:
        return z
    return tf.reshape(z, (-1, *model.latent_shape))


def flat(model: Any, z: Tensor) -> Tensor:
    """Undoes `shaped`: (B, D)."""
    if len(model.latent_shape) == 1:
        return z
    return tf.reshape(z, (-1, model.latent_dim))


def decode(model: Any, z: Tensor, condition: Tensor | None = None) -> dict[str, Tensor]:
    """Computes p(x|z).

    Args:
        model: a `kvae.VAE`.
        z: (B, *latent_shape) latents.
        condition: (B, ...) the c of p(x|z,c), or None.

    Returns:
        outputs: "mean" (B, *data_shape) in the units of the data, and the parameters of
            the likelihood by name.
    """
    params = model.likelihood_params(flat(model, z), condition)
    return {"mean": model.likelihood.mean(params), **params}


def latents(
    model: Any,
    num: Tensor,
    seed: Tensor,
    temperature: Tensor | float = 1.0,
    condition: Tensor | None = None,
    first: Tensor | int = 0,
) -> Tensor:
    """Draws z from the prior: (num, D). Arguments are those of `generate`."""
    noise = Noise(seed, tf.convert_to_tensor(first, tf.int32))
    base = noise.normal(1, num, model.prior.noise_dim, model.maths_dtype)[0]
    return model.prior.sample(model.prior(condition), base, temperature)


def generate(
    model: Any,
    num: Tensor,
    seed: Tensor,
    temperature: Tensor | float = 1.0,
    condition: Tensor | None = None,
    first: Tensor | int = 0,
) -> dict[str, Tensor]:
    """Draws z from the prior and shows the mean of p(x|z).

    Args:
        model: a `kvae.VAE`.
        num: scalar int32, how many.
        seed: (2,) int32; image i depends on the seed and i alone.
        temperature: scalar, multiplies the spread of the prior; 1 draws from p(z).
        condition: (num, ...) the c of p(x|z,c), or None.
        first: scalar int32, the i of the first image.

    Returns:
        outputs: "x" (num, *data_shape) in the units of the data, and its "z", (num,
            *latent_shape).
    """
    z = latents(model, num, seed, temperature, condition, first)
    return {"x": decode(model, z, condition)["mean"], "z": shaped(model, z)}


def encode(model: Any, inputs: Inputs) -> dict[str, Tensor]:
    """Computes the parameters of q(z|x) by name.

    Args:
        model: a `kvae.VAE`.
        inputs: one batch.

    Returns:
        outputs: for example "loc" and "scale", each (B, *latent_shape).
    """
    params = model.posterior_params(inputs)
    per_latent = (model.latent_dim,)
    return {
        name: shaped(model, value) if tuple(value.shape[1:]) == per_latent else value
        for name, value in params.items()
    }


def flat_params(model: Any, params: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undoes what `encode` did: the parameters as the posterior takes them."""
    return {
        name: flat(model, value)
        if tuple(value.shape[1:]) == tuple(model.latent_shape)
        else value
        for name, value in params.items()
    }


def reconstruct(model: Any, inputs: Inputs) -> dict[str, Tensor]:
    """Computes "x" (B, *data_shape): the mean of p(x|z) at the posterior mean of z."""
    z = model.posterior.mean(model.posterior_params(inputs))
    return {"x": decode(model, z, inputs.condition)["mean"]}


def score(
    model: Any,
    inputs: Inputs,
    seed: Tensor,
    num_samples: int | Tensor = 1,
    first: Tensor | int = 0,
) -> dict[str, Tensor]:
    """Estimates how well the model explains each example, by its ELBO.

        distortion = -mean_k log p(x|z_k),  z_k from q(z|x);   elbo = -(rate + distortion)

    The rate is the objective's: in closed form or from the same latents.

    Args:
        model: a `kvae.VAE`.
        inputs: one batch.
        seed: (2,) int32, of the latents.
        num_samples: K, latents per example.
        first: scalar int32, position of the first example.

    Returns:
        outputs: "elbo", "rate" and "distortion", each (B,) nats per example.
    """
    noise = Noise(seed, tf.convert_to_tensor(first, tf.int32))
    draw = model.draw(inputs, noise, num_samples, training=False)
    distortion = -tf.reduce_mean(draw.log_likelihood, axis=0)
    rate = model.objective.rate(model, draw)
    return {"elbo": -(rate + distortion), "rate": rate, "distortion": distortion}


def complete(
    model: Any, inputs: Inputs, seed: Tensor, first: Tensor | int = 0
) -> dict[str, Tensor]:
    """Draws z from p(z|visible) and fills in hidden entries by the mean of p(x|z,visible).

    This is the first of the completions that `VAE.complete` returns for the same seed.

    Args:
        model: a `kvae.VAE`, trained with `objectives.Completion`.
        inputs: one batch with a mask, 1 where x is visible; hidden entries may hold
            anything.
        seed: (2,) int32; completion i depends on the seed and i alone.
        first: scalar int32, position of the first example.

    Returns:
        outputs: "x" (B, *data_shape), visible entries unchanged, and its "z" (B, D).
    """
    x = tf.cast(inputs.x, model.maths_dtype)
    given = visible_part(x, inputs.mask)
    z = latents(model, tf.shape(x)[0], seed, 1.0, given, first)
    mean = tf.cast(decode(model, z, given)["mean"], x.dtype)
    filled = tf.where(tf.cast(inputs.mask, tf.bool), x, mean)
    return {"x": filled, "z": shaped(model, z)}
