"""The model: five parts and an objective, composed. It holds no mathematics of its own."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.batches import CompiledFunctions, map_batches
from kvae.defaults import choose_parts
from kvae.fit_data import prepare_fit_arguments, unpack_batch
from kvae.inputs import Inputs, check_arrays
from kvae.likelihoods import Likelihood
from kvae.maths import maths_dtype
from kvae.metrics import ActiveUnits
from kvae.networks import call_network, declared_inputs
from kvae.noise import Noise
from kvae.objectives import ELBO, Objective, batch_mean
from kvae.posteriors import Posterior
from kvae.priors import Prior, StandardNormal
from kvae.types import Draw, LossParts, Params, Tensor

_EVALUATION = 0x5EED  # second word of the key in evaluation; steps count up from 0


@keras.saving.register_keras_serializable(package="kvae")
class VAE(keras.Model):
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
        **kwargs: passed to `keras.Model`.

    Raises:
        TypeError: if a part is not of its kind.
        ValueError: if the parts do not fit together.

    Source: Kingma, Welling 2014, arXiv:1312.6114; Rezende, Mohamed, Wierstra 2014,
        arXiv:1401.4082.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        posterior: Posterior,
        likelihood: Likelihood,
        prior: Prior | None = None,
        objective: Objective | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_kind("encoder", encoder, keras.layers.Layer)
        _check_kind("decoder", decoder, keras.layers.Layer)
        _check_kind("posterior", posterior, Posterior)
        _check_kind("likelihood", likelihood, Likelihood)
        self.encoder = encoder
        self.decoder = decoder
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = StandardNormal(posterior.latent_dim) if prior is None else prior
        self.objective = ELBO() if objective is None else objective
        _check_kind("prior", self.prior, Prior)
        _check_kind("objective", self.objective, Objective)
        if self.prior.latent_dim != posterior.latent_dim:
            raise ValueError(
                f"the posterior has latent_dim={posterior.latent_dim} and the prior "
                f"latent_dim={self.prior.latent_dim}; give both the same."
            )
        self._seed = seed
        self._input_shapes: dict[str, list[int | None]] | None = None
        self._compiled_functions = CompiledFunctions()

        first = np.random.randint(2**31) if seed is None else seed
        self.noise_seed = self._counter("noise_seed", first)
        self.step = self._counter("step", 0)
        self._evaluated = self._counter("evaluated", 0)
        self._trackers: dict[str, Any] = {
            name: keras.metrics.Mean(name=name)
            for name in ("loss", "elbo", "rate", "distortion", "bits_per_dim")
        }
        self._trackers["active_units"] = ActiveUnits(posterior.latent_dim)

        for part in (self.posterior, self.prior, self.likelihood, self.objective):
            part.attach(self)
        if (shapes := self._declared_shapes()) is not None:
            self.build(shapes)

    @classmethod
    def for_data(cls, x: Any, latent_dim: int = 16, **parts: Any) -> VAE:
        """Builds a model whose parts suit the data, and says in the log which and why.

        Args:
            x: (N, ...) the training examples; (N, D) are vectors, (N, H, W) and
                (N, H, W, C) images.
            latent_dim: D, the number of latent dimensions.
            **parts: any argument of `VAE`; what is given is not chosen.

        Returns:
            vae: built, not compiled.

        Raises:
            ValueError: if x is empty, not finite, or of a shape that no network fits.
        """
        return cls(**choose_parts(x, latent_dim, parts))

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
        if condition is not None and len(z.shape) > 2:
            condition = tf.convert_to_tensor(condition)
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
        self, inputs: Inputs, noise: Noise, num_samples: int, training: bool
    ) -> Draw:
        """Draws latents from q(z|x) and evaluates every density at them.

        Args:
            inputs: one batch.
            noise: where the base noise comes from.
            num_samples: K, latents per example.
            training: passed to the networks.

        Returns:
            draw: latents (K, B, D), parameters, and log-densities (K, B) in nats.
        """
        posterior = self.posterior_params(inputs, training)
        base = noise.normal(
            num_samples,
            tf.shape(inputs.x)[0],
            self.posterior.noise_dim,
            self.maths_dtype,
        )
        z, log_posterior = self.posterior.sample_and_log_prob(posterior, base)
        prior = self.prior(inputs.condition)
        likelihood = self.likelihood_params(z, inputs.condition, training)
        return Draw(
            z=z,
            posterior=posterior,
            prior=prior,
            likelihood=likelihood,
            log_likelihood=self.likelihood.log_prob(likelihood, inputs.x, inputs.mask),
            log_prior=self.prior.log_prob(prior, z),
            log_posterior=log_posterior,
        )

    # === Training: one loss, shared by both steps ===

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configures training, as in Keras; the loss is the objective's.

        Args:
            optimizer: any Keras optimizer.
            loss: must stay None.
            metrics: must stay None.
            **kwargs: passed to `keras.Model.compile`.

        Raises:
            ValueError: if a loss or metrics are given.
        """
        if loss is not None or metrics:
            raise ValueError(
                "a VAE has no target to compare with, so compile takes neither loss nor "
                "metrics. Choose likelihood= and objective= when building the model."
            )
        super().compile(optimizer=optimizer, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains the model: `keras.Model.fit` without targets.

        Args:
            x: array (N, *data_shape), a dict of arrays, a `tf.data.Dataset` or anything
                else that Keras takes.
            y: must stay None; labels go in as {"x": x, "condition": labels}.
            *args: as in Keras.
            **kwargs: as in Keras; `validation_data` takes the forms of x.

        Returns:
            history: a Keras `History`.

        Raises:
            ValueError: if the data are empty, of the wrong shape, not finite or outside
                the likelihood's support.
        """
        x, y, kwargs = prepare_fit_arguments(self, x, y, kwargs)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Measures the loss and its parts: `keras.Model.evaluate` without targets.

        Example i of the data gets the same noise in every call, whatever the batch size.
        Arguments and errors are those of `fit`.
        """
        x, y, kwargs = prepare_fit_arguments(self, x, y, kwargs)
        return super().evaluate(x, y, *args, **kwargs)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """Takes one optimizer step on one batch."""
        inputs, sample_weight = unpack_batch(data)
        with tf.GradientTape() as tape:
            parts = self._loss_parts(
                inputs, self._training_noise(), sample_weight, True
            )
            loss = self.compute_loss(y_pred=parts, sample_weight=sample_weight)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        self.step.assign_add(1)
        return self._report(parts, sample_weight)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Measures one batch; the same loss as in `train_step`."""
        inputs, sample_weight = unpack_batch(data)
        noise = self._evaluation_noise(self.noise_seed, self._evaluated)
        parts = self._loss_parts(inputs, noise, sample_weight, False)
        self._evaluated.assign_add(
            tf.cast(tf.shape(inputs.x)[0], self._evaluated.dtype)
        )
        return self._report(parts, sample_weight)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: LossParts | None = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Adds up the loss of a batch: data term, KL term, regularisers; scalar nats.

        The KL term and the regularisers come from `self.losses`, where `add_loss` put
        them. x and y are not used: `y_pred` holds the loss parts.
        """
        del x, y, training
        assert y_pred is not None, "y_pred holds the LossParts of the batch"
        loss = batch_mean(y_pred.data_term, sample_weight)
        return loss + tf.add_n(self.objective.losses) + self._regularisation(loss.dtype)

    def _regularisation(self, dtype: Any) -> Tensor:
        ours = {id(loss) for loss in self.objective.losses}
        others = [tf.cast(loss, dtype) for loss in self.losses if id(loss) not in ours]
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return tf.add_n(others) / replicas if others else tf.zeros((), dtype)

    def _loss_parts(
        self, inputs: Inputs, noise: Noise, sample_weight: Tensor | None, training: bool
    ) -> LossParts:
        return self.objective(
            inputs=inputs,
            model=self,
            noise=noise,
            sample_weight=sample_weight,
            training=training,
        )

    def _training_noise(self) -> Noise:
        seed, step = (tf.cast(v.value, tf.int32) for v in (self.noise_seed, self.step))
        return self._fold_replica(Noise(tf.stack([seed, step])))

    def _evaluation_noise(self, seed: Any, first_example: Any) -> Noise:
        key = tf.stack([tf.cast(seed, tf.int32), _EVALUATION])
        return self._fold_replica(Noise(key, tf.cast(first_example, tf.int32)))

    def _fold_replica(self, noise: Noise) -> Noise:
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return noise
        return noise.fold(context.replica_id_in_sync_group)

    def _report(
        self, parts: LossParts, sample_weight: Tensor | None
    ) -> dict[str, Tensor]:
        loss = parts.data_term + parts.kl_term
        if sample_weight is not None:
            loss = loss * tf.cast(sample_weight, loss.dtype)
        self._trackers["loss"].update_state(loss + self._regularisation(loss.dtype))
        bits = -parts.elbo / (math.log(2.0) * math.prod(self.data_shape))
        values = {
            "elbo": parts.elbo,
            "rate": parts.rate,
            "distortion": parts.distortion,
            "bits_per_dim": bits,
            "active_units": parts.posterior_mean,
            **parts.metrics,
        }
        for name, value in values.items():
            weight = sample_weight if value.shape.rank else None
            self._trackers[name].update_state(value, sample_weight=weight)
        return self.get_metrics_result()

    @property
    def metrics(self) -> list[Any]:
        """The metrics that `fit` and `evaluate` report."""
        return list(self._trackers.values())

    def reset_metrics(self) -> None:
        """Starts an epoch or an evaluation: metrics at zero, noise at the first example."""
        super().reset_metrics()
        self._evaluated.assign(0)

    # === Using a trained model: numpy in, numpy out ===

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Reconstructs: the mean of p(x|z) at the posterior mean of z, (B, *data_shape)."""
        batch = Inputs.of(inputs)
        z = self.posterior.mean(self.posterior_params(batch, training))
        return self.likelihood.mean(
            self.likelihood_params(z, batch.condition, training)
        )

    def encode(self, x: Any, batch_size: int = 512) -> Any:
        """Infers q(z|x).

        Args:
            x: (N, *data_shape), or a dict with "x" and optionally "condition", "mask".
            batch_size: examples per pass; does not change the result.

        Returns:
            posterior: a TFP distribution with batch (N,) and event (D,).
        """
        params = self._map(self._encode_batch, x, batch_size)
        return self.posterior.distribution(tf.nest.map_structure(tf.constant, params))

    def decode(self, z: Any, condition: Any = None) -> Any:
        """Makes p(x|z).

        Args:
            z: (N, D) latents.
            condition: (N, ...) what p(x|z,c) is given, or None.

        Returns:
            likelihood: a TFP distribution with batch (N,) and event `data_shape`.

        Raises:
            ValueError: if z has another number of latent dimensions.
        """
        z = tf.cast(tf.convert_to_tensor(z), self.maths_dtype)
        if z.shape.rank is None or z.shape.rank < 2 or z.shape[-1] != self.latent_dim:
            raise ValueError(
                f"decode takes z of shape (N, {self.latent_dim}); received {z.shape}."
            )
        return self.likelihood.distribution(self.likelihood_params(z, condition))

    def sample(
        self,
        num: int,
        seed: int | None = None,
        condition: Any = None,
        temperature: float = 1.0,
        mean: bool = True,
        batch_size: int = 512,
    ) -> np.ndarray:
        """Draws new examples: z from the prior, then x from p(x|z).

        Args:
            num: how many, at least 1.
            seed: of the draw; example i depends on the seed and i alone. None draws anew.
            condition: (num, ...) what p(x|z,c) is given, or None.
            temperature: multiplies the spread of the prior; 1 draws from p(z).
            mean: return the mean of p(x|z), the usual picture, instead of a draw.
            batch_size: examples per pass; does not change the result if `mean`.

        Returns:
            x: (num, *data_shape), in the units of the data.

        Raises:
            ValueError: if `num` is not a positive integer.
        """
        if not isinstance(num, (int, np.integer)) or num < 1:
            raise ValueError(
                f"sample expects num to be a positive integer; received {num!r}."
            )
        positions = np.arange(num, dtype="int32")
        inputs = Inputs(positions, None if condition is None else np.asarray(condition))
        arguments = (
            _seed(seed),
            tf.constant(temperature, self.maths_dtype),
            tf.constant(mean),
        )
        return map_batches(
            self._compiled_functions.get(self._sample_batch),
            inputs,
            batch_size,
            *arguments,
        )

    def reconstruct(self, x: Any, batch_size: int = 512) -> np.ndarray:
        """Reconstructs x: the mean of p(x|z) at the posterior mean, (N, *data_shape)."""
        return self._map(self._reconstruct_batch, x, batch_size)

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
        samples = tf.constant(num_samples)
        return self._map(self._elbo_batch, x, batch_size, _seed(seed), samples)

    def _map(self, method: Any, x: Any, batch_size: int, *args: Any) -> Any:
        inputs = check_arrays(Inputs.of(x), self.data_shape, self.likelihood)
        self._build_for(inputs)
        function = self._compiled_functions.get(method)
        return map_batches(function, inputs, batch_size, *args)

    def _encode_batch(self, batch: dict[str, Tensor], first: Tensor) -> Params:
        del first
        return self.posterior_params(Inputs(**batch))

    def _reconstruct_batch(self, batch: dict[str, Tensor], first: Tensor) -> Tensor:
        del first
        return self.call(batch)

    def _elbo_batch(
        self, batch: dict[str, Tensor], first: Tensor, seed: Tensor, num_samples: Tensor
    ) -> Tensor:
        noise = Noise(tf.stack([seed, _EVALUATION]), first)
        draw = self.draw(Inputs(**batch), noise, num_samples, training=False)
        return tf.reduce_mean(draw.log_likelihood, axis=0) - self.objective.rate(
            self, draw
        )

    def _sample_batch(
        self,
        batch: dict[str, Tensor],
        first: Tensor,
        seed: Tensor,
        temperature: Tensor,
        mean: Tensor,
    ) -> Tensor:
        condition = batch.get("condition")
        noise = Noise(tf.stack([seed, 0]), first)
        count = tf.shape(batch["x"])[0]
        base = noise.normal(1, count, self.prior.noise_dim, self.maths_dtype)[0]
        z = self.prior.sample(self.prior(condition), base, temperature)
        params = self.likelihood_params(z, condition)
        pixels = tf.stack([seed, first + 1])
        return tf.cond(
            mean,
            lambda: self.likelihood.mean(params),
            lambda: self.likelihood.distribution(params).sample(seed=pixels),
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
        with tf.init_scope():
            blank = {
                name: tf.zeros([2, *shape[1:]], self.maths_dtype)
                for name, shape in self._input_shapes.items()
            }
            blank["x"] += self.likelihood.filler
            noise = Noise(tf.constant([0, _EVALUATION], tf.int32))
            parts = self.objective.parts(self, Inputs(**blank), noise, training=False)
        for name in parts.metrics:
            self._trackers[name] = keras.metrics.Mean(name=name)
        self.built = True

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
        return {"x": (None, *self.data_shape), **shapes}

    def _counter(self, name: str, start: int) -> Any:
        return self.add_weight(
            name=name,
            shape=(),
            dtype="int64",
            initializer=keras.initializers.Constant(start),
            trainable=False,
            aggregation="only_first_replica",
        )

    def get_build_config(self) -> dict[str, Any] | None:
        """Returns the input shapes, for loading."""
        return (
            None if self._input_shapes is None else {"input_shape": self._input_shapes}
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        parts = ("encoder", "decoder", "posterior", "likelihood", "prior", "objective")
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "seed": self._seed,
            **{p: keras.saving.serialize_keras_object(getattr(self, p)) for p in parts},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VAE:
        """Makes a model from `get_config`."""
        return cls(
            **{
                key: keras.saving.deserialize_keras_object(value, custom_objects)
                if isinstance(value, dict)
                else value
                for key, value in config.items()
            }
        )


def _check_kind(name: str, part: Any, kind: type) -> None:
    if not isinstance(part, kind):
        raise TypeError(
            f"{name} must be a {kind.__module__.split('.src')[0]}.{kind.__name__} object; "
            f"received {part!r}."
        )


def _seed(seed: int | None) -> Tensor:
    if seed is None:
        seed = np.random.randint(2**31)
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**31:
        raise ValueError(
            f"seed must be an integer from 0 to 2**31 - 1; received {seed!r}."
        )
    return tf.constant(seed, tf.int32)
