"""The model: five parts and an objective, composed. It holds no mathematics of its own."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.completion import Completions, complete
from kvae.core.batches import CompiledFunctions, map_batches
from kvae.core.checks import check_count, check_latents, check_seed, check_temperature
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.fitting.array_batches import is_arrays
from kvae.model import endpoints
from kvae.model.conditions import check_condition, check_visible_part
from kvae.model.defaults import choose_parts
from kvae.model.trainable_model import TrainableModel


@keras.saving.register_keras_serializable(package="kvae")
class VAE(TrainableModel):
    """A variational autoencoder: p(x|z) p(z), with q(z|x) for inference.

        loss = batch mean of -E_q[log p(x|z)] + KL(q(z|x) || p(z))     (objective ELBO)

    Everything a user may want to change is a part; the model only composes them. It is a
    Keras model: `compile`, `fit`, `evaluate`, `predict`, callbacks, `save`. Inputs are a
    tensor x of (B, *data_shape), or a dict with "x" and optionally "condition" and
    "mask" (1 where x is observed). `fit` and `evaluate` report, per example and in nats,
    `loss`, `elbo`, `rate` and `distortion`, further `bits_per_dim` and `active_units`.

    Args:
        encoder: Keras network from x to features.
        decoder: Keras network from z, (B, D), to features.
        posterior: q(z|x), takes the encoder's features.
        likelihood: p(x|z), takes the decoder's features.
        prior: p(z); a standard normal if None.
        objective: what is minimised; the plain `ELBO` if None.
        seed: of all noise in training and evaluation. If None it is drawn once from
            numpy's global generator, which `keras.utils.set_random_seed` sets.
        corruption: noise on the encoder's input in training alone; the likelihood is
            always that of the clean x. None trains without.
        **kwargs: passed to `keras.Model`.

    Raises:
        TypeError: if a part is not of its kind.
        ValueError: if the parts do not fit together.

    Source: Kingma, Welling 2014, arXiv:1312.6114; Rezende, Mohamed, Wierstra 2014,
        arXiv:1401.4082.
    """

    @classmethod
    def for_data(
        cls,
        x: Any,
        latent_dim: int = 16,
        condition: Any = None,
        conditional_prior: bool = False,
        **parts: Any,
    ) -> VAE:
        """Builds a model whose parts suit the data, and says in the log which and why.

        Args:
            x: (N, ...) the training examples; (N, D) are vectors, (N, H, W) and
                (N, H, W, C) images.
            latent_dim: D, the number of latent dimensions; a given posterior's own wins.
            condition: (N, ...) what x is conditioned on: (N,) integers are labels, other
                numbers are vectors or images; None builds an unconditional model.
            conditional_prior: learn p(z|c) instead of a fixed p(z).
            **parts: any argument of `VAE`; what is given is not chosen.

        Returns:
            vae: built, not compiled.

        Raises:
            ValueError: if x is empty, not finite, or of a shape that no network fits, or
                the condition does not fit x.
        """
        chosen = choose_parts(x, latent_dim, parts, condition, conditional_prior)
        return cls(**chosen)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._compiled_functions = CompiledFunctions()
        super().__init__(*args, **kwargs)

    # === Using a trained model: numpy in, numpy out ===

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Reconstructs: the mean of p(x|z) at the posterior mean of z, (B, *data_shape)."""
        del training
        return endpoints.reconstruct(self, Inputs.of(inputs))["x"]

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Reconstructs x as `keras.Model.predict` does; arrays are checked first."""
        if is_arrays(x):
            x = self._complete_inputs(x).to_keras()
        return super().predict(x, *args, **kwargs)

    def encode(self, x: Any, batch_size: int = 512) -> Any:
        """Infers q(z|x).

        Args:
            x: (N, *data_shape), or a dict with "x" and optionally "condition", "mask".
            batch_size: examples per pass; does not change the result.

        Returns:
            posterior: a TFP distribution with batch (N,) and event (D,).
        """
        params = self._map(_encode, x, batch_size)
        return self.posterior.distribution(tf.nest.map_structure(tf.constant, params))

    def decode(self, z: Any, condition: Any = None) -> Any:
        """Makes p(x|z).

        Args:
            z: (N, D) latents.
            condition: what p(x|z,c) is given: (N, ...), or one for all; None without.

        Returns:
            likelihood: a TFP distribution with batch (N,) and event `data_shape`.

        Raises:
            ValueError: if z has another number of latent dimensions, or the condition
                does not fit the model.
        """
        z = check_latents(z, self.latent_dim, self.maths_dtype)
        condition = self._condition_for(condition, int(z.shape[-2]))
        return self.likelihood.distribution(self.likelihood_params(z, condition))

    def sample(
        self,
        num: int | None = None,
        seed: int | None = None,
        condition: Any = None,
        temperature: float = 1.0,
        mean: bool = True,
        batch_size: int = 512,
    ) -> np.ndarray:
        """Draws new examples: z from the prior, then x from p(x|z).

        Args:
            num: how many, at least 1; None takes one for each condition.
            seed: of the draw; example i depends on the seed and i alone. None draws anew.
            condition: what p(x|z,c) is given: (num, ...), or one for all, for example the
                label 7; None without.
            temperature: multiplies the spread of the prior; 1 draws from p(z).
            mean: return the mean of p(x|z), the usual picture, instead of a draw.
            batch_size: examples per pass; does not change the result if `mean`.

        Returns:
            x: (num, *data_shape), in the units of the data.

        Raises:
            ValueError: if a number is out of range, or the condition does not fit the
                model.
        """
        wanted = num is None and condition is not None
        if not wanted:
            num = check_count("num", num)
        condition = self._condition_for(condition, num)
        inputs = Inputs(np.arange(num or len(condition), dtype="int32"), condition)
        spread = tf.constant(check_temperature(temperature), self.maths_dtype)
        function = self._compiled(_sample_mean if mean else _sample_pixels)
        return map_batches(function, inputs, batch_size, _key(seed), spread)

    def reconstruct(self, x: Any, batch_size: int = 512) -> np.ndarray:
        """Reconstructs x: the mean of p(x|z) at the posterior mean, (N, *data_shape)."""
        return self._map(_reconstruct, x, batch_size)

    def complete(
        self, x: Any, mask: Any = None, num: int = 8, seed: int = 0, **options: Any
    ) -> Completions:
        """Draws what is hidden given the rest; see `kvae.completion.complete`."""
        return complete(self, x, mask, num, seed, **options)

    def elbo(
        self, x: Any, num_samples: int = 1, seed: int = 0, batch_size: int = 512
    ) -> np.ndarray:
        """Estimates the evidence lower bound of each example.

            elbo = mean_k log p(x|z_k) - rate,  z_k from q(z|x)

        The rate is estimated as the objective does it. The noise of example i depends on
        the seed and i alone, so the batch size does not change the result.

        Args:
            x: (N, *data_shape), or a dict with "x" and optionally "condition", "mask".
            num_samples: K, latents per example.
            seed: of the latents.
            batch_size: examples per pass.

        Returns:
            elbo: (N,) nats per example.
        """
        num_samples = check_count("num_samples", num_samples)
        function = functools.partial(_elbo, num_samples=num_samples)
        return self._map(function, x, batch_size, _key(seed))

    def with_prior(self, prior: Any, objective: Any = None) -> VAE:
        """Copies this model with another prior, for example one fitted after training.

        The networks' weights are copied, so neither model changes the other from then on.

        Args:
            prior: p(z) of the copy.
            objective: of the copy; this model's own if None. A prior without a closed
                form of the rate needs `ELBO(kl="sampled")`.

        Returns:
            vae: built if this one is, not compiled.

        Raises:
            ValueError: if the prior does not fit the posterior or the objective.
        """
        config = {**self.get_config(), "prior": prior}
        kept = ["encoder", "decoder", "posterior", "likelihood"]
        if objective is None:
            kept.append("objective")
        else:
            config["objective"] = objective
        copy = type(self).from_config(config)
        if self.built:
            if not copy.built:
                copy.build(self._input_shapes)
            for part in kept:
                getattr(copy, part).set_weights(getattr(self, part).get_weights())
            copy.step.assign(self.step.value)
        return copy

    def _condition_for(self, given: Any, num: int | None) -> Any:
        expected = self.condition
        given = check_visible_part(self.objective, given)
        if expected is not None and given is not None:
            return expected.broadcast(given, num)
        return check_condition(expected, given, self.built)

    def _map(self, function: Any, x: Any, batch_size: int, *args: Any) -> Any:
        inputs = self._complete_inputs(x)
        self._build_for(inputs)
        return map_batches(self._compiled(function), inputs, batch_size, *args)

    def _compiled(self, function: Any) -> Any:
        return self._compiled_functions.get(functools.partial(function, self))


# === One batch of each method, in the form that map_batches calls ===


def _encode(model: VAE, batch: dict[str, Tensor], first: Tensor) -> dict[str, Tensor]:
    del first
    return endpoints.encode(model, Inputs(**batch))


def _reconstruct(model: VAE, batch: dict[str, Tensor], first: Tensor) -> Tensor:
    del first
    return endpoints.reconstruct(model, Inputs(**batch))["x"]


def _elbo(
    model: VAE, batch: dict[str, Tensor], first: Tensor, key: Tensor, num_samples: int
) -> Tensor:
    return endpoints.score(model, Inputs(**batch), key, num_samples, first)["elbo"]


def _sample_mean(
    model: VAE,
    batch: dict[str, Tensor],
    first: Tensor,
    key: Tensor,
    temperature: Tensor,
) -> Tensor:
    num, condition = tf.shape(batch["x"])[0], batch.get("condition")
    return endpoints.generate(model, num, key, temperature, condition, first)["x"]


def _sample_pixels(
    model: VAE,
    batch: dict[str, Tensor],
    first: Tensor,
    key: Tensor,
    temperature: Tensor,
) -> Tensor:
    num, condition = tf.shape(batch["x"])[0], batch.get("condition")
    z = endpoints.latents(model, num, key, temperature, condition, first)
    params = model.likelihood_params(z, condition)
    seed = tf.stack([key[0], first + 1])
    return model.likelihood.distribution(params).sample(seed=seed)


def _key(seed: int | None) -> Tensor:
    if seed is None:
        seed = np.random.randint(2**31)
    return tf.constant([check_seed(seed), 0], tf.int32)
