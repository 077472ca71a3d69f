"""The five parts and the objective, held together: networks, densities, saving."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.inputs import Inputs, check_arrays, count_observed
from kvae.core.types import Draw, LossParts, Params, Sampler, Tensor
from kvae.corruptions import Corruption
from kvae.likelihoods import Likelihood
from kvae.maths import maths_dtype
from kvae.model.conditions import Condition, check_condition, check_visible_part
from kvae.model.part_kinds import KINDS, check_kinds
from kvae.networks import call_network, declared_inputs
from kvae.noise import Noise
from kvae.objectives import ELBO, Objective
from kvae.posteriors import Posterior
from kvae.priors import Prior, StandardNormal

_CORRUPTION = 0xC0  # tells its noise from that of the latents


class DensityModel(keras.Model):
    """Composes the parts of a VAE into densities; the base of `kvae.VAE`.

    Here stands what objectives, evaluation and export ask of a model: parameters and
    log-densities for a batch. Training is added by `TrainableModel`, the methods for
    arrays by `VAE`. The arguments are those of `VAE`.
    """

    built: bool  # Keras sets it; it has no annotation there

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        posterior: Posterior,
        likelihood: Likelihood,
        prior: Prior | None = None,
        objective: Objective | None = None,
        seed: int | None = None,
        corruption: Corruption | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        parts = [encoder, decoder, posterior, likelihood, prior, objective, corruption]
        check_kinds(dict(zip(KINDS, parts, strict=True)))
        self.encoder = encoder
        self.decoder = decoder
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = StandardNormal(posterior.latent_dim) if prior is None else prior
        self.objective = ELBO() if objective is None else objective
        self.corruption = corruption
        if self.prior.latent_dim != posterior.latent_dim:
            raise ValueError(
                f"the posterior has latent_dim={posterior.latent_dim} and the prior "
                f"latent_dim={self.prior.latent_dim}; give both the same."
            )
        if self.prior.space != posterior.space:
            raise ValueError(
                f"{type(posterior).__name__} draws latents from {posterior.space} and "
                f"{type(self.prior).__name__} is a density on {self.prior.space}, so no "
                "KL divergence is finite. PowerSpherical and UniformSphere go together."
            )
        self.seed = seed
        self._input_shapes: dict[str, list[int | None]] | None = None
        self._loss_metric_names: tuple[str, ...] = ()

        for part in (self.posterior, self.prior, self.likelihood, self.objective):
            part.attach(self)

    # === The model, as densities ===

    @property
    def latent_dim(self) -> int:
        """D, the number of latent dimensions."""
        return self.posterior.latent_dim

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.likelihood.data_shape

    @property
    def maths_dtype(self) -> str:
        """The dtype of data and densities, never less than float32."""
        return maths_dtype(self.compute_dtype)

    @property
    def condition(self) -> Condition | None:
        """What the model is conditioned on: shape and classes; None if on nothing."""
        return Condition.of(self)

    def check_inputs(self, data: Any) -> Inputs:
        """Checks a data set held as arrays before any graph is built.

        Args:
            data: (N, *data_shape), or a dict with "x" and optionally "condition" and
                "mask".

        Returns:
            inputs: as numpy arrays.

        Raises:
            ValueError: if x, condition or mask do not fit the model or one another.
        """
        inputs = Inputs.of(data)
        given = None if inputs.condition is None else np.asarray(inputs.condition)
        condition = self._checked_condition(given)
        inputs = dataclasses.replace(inputs, condition=condition)
        return check_arrays(inputs, self.data_shape, self.likelihood)

    def posterior_params(self, inputs: Inputs, training: bool = False) -> Params:
        """Computes the parameters of q(z|x), each (B, ...)."""
        x = tf.cast(inputs.x, self.maths_dtype)
        optional = {"condition": inputs.condition}
        if inputs.mask is not None:
            x = tf.where(tf.cast(inputs.mask, tf.bool), x, tf.zeros_like(x))
        if "mask" in (declared_inputs(self.encoder) or ()):
            mask = tf.ones_like(x) if inputs.mask is None else inputs.mask
            optional["mask"] = tf.cast(mask, x.dtype)
        return self.posterior(call_network(self.encoder, ("x", x), optional, training))

    def likelihood_params(
        self, z: Tensor, condition: Tensor | None = None, training: bool = False
    ) -> Params:
        """Computes the parameters of p(x|z): z of (..., B, D) gives each (..., B, ...)."""
        lead = tf.shape(z)[:-1]
        flat = tf.reshape(z, (-1, self.latent_dim))
        if condition is not None:
            condition = tf.convert_to_tensor(condition)
        if condition is not None and len(z.shape) > 2:
            shape = tf.concat([lead, tf.shape(condition)[1:]], axis=0)
            condition = tf.broadcast_to(condition, shape)
            condition = tf.reshape(
                condition, (-1, *condition.shape[len(z.shape) - 1 :])
            )
        features = call_network(
            self.decoder, ("z", flat), {"condition": condition}, training
        )
        params = self.likelihood(features)
        if len(z.shape) == 2:
            return params
        return {
            name: tf.reshape(value, tf.concat([lead, value.shape[1:]], axis=0))
            for name, value in params.items()
        }

    def draw(
        self,
        inputs: Inputs,
        noise: Noise,
        num_samples: int,
        training: bool,
        sampler: Sampler | None = None,
    ) -> Draw:
        """Draws latents from q(z|x) and evaluates every density at them.

        Args:
            inputs: one batch.
            noise: where the base noise comes from.
            num_samples: K, latents per example.
            training: passed to the networks.
            sampler: makes latents and log q(z|x) of the parameters and the base noise,
                for an estimator that steers the gradients through them; the posterior's
                own `sample_and_log_prob` if None.

        Returns:
            draw: latents (K, B, D), parameters, and log-densities (K, B) in nats.
        """
        seen = inputs
        if training and self.corruption is not None:
            x = tf.cast(inputs.x, self.maths_dtype)
            x = self.corruption(x, noise.fold(_CORRUPTION).key)
            seen = dataclasses.replace(inputs, x=x)
        posterior = self.posterior_params(seen, training)
        base = noise.normal(
            num_samples,
            tf.shape(inputs.x)[0],
            self.posterior.noise_dim,
            self.maths_dtype,
        )
        sampler = self.posterior.sample_and_log_prob if sampler is None else sampler
        z, log_posterior = sampler(posterior, base)
        prior = self.prior(inputs.condition)
        likelihood = self.likelihood_params(z, inputs.condition, training)
        if training:
            likelihood = self.likelihood.calibrate(
                likelihood, inputs.x, inputs.mask, inputs.sample_weight
            )
        return Draw(
            z=z,
            posterior=posterior,
            prior=prior,
            likelihood=likelihood,
            log_likelihood=self.likelihood.log_prob(likelihood, inputs.x, inputs.mask),
            log_prior=self.prior.log_prob(prior, z),
            log_posterior=log_posterior,
            entries=count_observed(inputs.mask, self.maths_dtype),
        )

    # === Building and saving ===

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights, by one eager pass over a tiny batch of blank examples.

        The pass runs the objective too, so parts that do not fit together are refused
        here, in plain words, and not inside a graph.

        Args:
            input_shape: of x, or a dict of shapes by input name; batch first.
        """
        if self.built:
            return
        shapes = input_shape if isinstance(input_shape, dict) else {"x": input_shape}
        self._input_shapes = {
            name: [None, *tuple(shape)[1:]]
            for name, shape in shapes.items()
            if name != "mask"
        }
        self._input_shapes["x"] = [None, *self.data_shape]
        condition = self.condition
        with tf.init_scope():
            blank = {"x": tf.zeros([2, *self.data_shape], self.maths_dtype)}
            blank["x"] += self.likelihood.filler
            if condition is not None:
                self._input_shapes["condition"] = [None, *condition.shape]
                blank["condition"] = condition.blank(2)
            noise = Noise(tf.zeros(2, tf.int32))
            parts = self.objective.parts(self, Inputs(**blank), noise, training=False)
        self._loss_metric_names = tuple(self._reported(parts))
        self.built = True

    def _checked_condition(self, given: Any) -> Any:
        if given is None and self.objective.makes_condition:
            return None
        return check_condition(self.condition, given, self.built)

    def _complete_inputs(self, x: Any) -> Inputs:
        """Checks inputs after training: a completing model needs the visible part."""
        inputs = self.check_inputs(x)
        check_visible_part(self.objective, inputs.condition)
        return inputs

    def _build_for(self, inputs: Inputs) -> None:
        if not self.built:
            self.build({name: value.shape for name, value in inputs.to_dict().items()})

    def _declared_shapes(self) -> dict[str, Any] | None:
        """The input shapes if both networks are built and name them, else None."""
        shapes: dict[str, Any] = {}
        for network in (self.encoder, self.decoder):
            if not network.built:
                return None
            if declared_inputs(network):
                shapes |= {name: tensor.shape for name, tensor in network.input.items()}
        shapes.pop("z", None)
        if self.prior.conditional and "condition" not in shapes:
            return None  # only the data will say what is given to the prior
        return {"x": (None, *self.data_shape), **shapes}

    def _reported(self, parts: LossParts) -> dict[str, Tensor]:
        """What objective and posterior report beside the five values of every model."""
        if parts.draw is None:
            return parts.metrics
        return {**parts.metrics, **self.posterior.report(parts.draw)}

    def get_build_config(self) -> dict[str, Any] | None:
        """Returns the input shapes, for loading."""
        return (
            None if self._input_shapes is None else {"input_shape": self._input_shapes}
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "seed": self.seed,
            **{p: keras.saving.serialize_keras_object(getattr(self, p)) for p in KINDS},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Makes a model from `get_config`."""
        return cls(
            **{
                key: keras.saving.deserialize_keras_object(value, custom_objects)
                if isinstance(value, dict)
                else value
                for key, value in config.items()
            }
        )
