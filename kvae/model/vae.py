"""The model: parts, densities, loss, training and saving of a VAE on one page.

How the loss comes about, from top to bottom:

    fit -> train_step -> _loss_parts -> objective.parts -> draw    latents and densities
                      -> add_loss(kl)                              the model's own loss
                      -> compute_loss = data term + kl + regularizers

`kvae/model/arrays.py` holds the methods for a trained model: encode, decode, sample, elbo.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.arrays import filled_examples, read_examples
from kvae.core.checks import (
    check_count,
    check_dict,
    check_optimizer,
    check_seed,
)
from kvae.core.inputs import Inputs, check_arrays, count_observed
from kvae.core.say import say
from kvae.core.types import Draw, LossParts, Params, Sampler, Tensor, Walk
from kvae.corruptions import Corruption
from kvae.fitting.apply_gradients import apply_gradients
from kvae.fitting.arguments import prepare_data, unpack_batch
from kvae.fitting.array_batches import in_batches
from kvae.fitting.callbacks import set_modes, with_progress
from kvae.fitting.gradient_guard import GradientGuard
from kvae.fitting.joined_steps import joined_train_function, joins_steps
from kvae.fitting.metrics import make_trackers, update_trackers
from kvae.fitting.replicas import (
    check_compile_arguments,
    check_same_weights,
    fold_replica,
    reducible,
    workers_named,
)
from kvae.likelihoods import Likelihood
from kvae.maths import maths_dtype
from kvae.model import describe
from kvae.model.arrays import ArrayMethods
from kvae.model.conditions import Condition, check_condition
from kvae.model.defaults import check_data_kind, choose_parts
from kvae.model.part_kinds import (
    KINDS,
    adapt_parts,
    check_fit,
    check_kinds,
    warn_of_head,
)
from kvae.networks.call import call_network, declared_inputs
from kvae.networks.condition import condition_rows
from kvae.noise import Noise
from kvae.objectives import ELBO, Objective, batch_mean, global_count
from kvae.posteriors import Posterior
from kvae.priors import Prior, StandardNormal
from kvae.tables import Schema
from kvae.tables.schema import check_schema, is_frame

_EVALUATION = 0x5EED  # second word of the key in evaluation; steps count up from 0
_CORRUPTION = 0xC0  # keeps the noise of a corruption apart from that of the latents


@keras.saving.register_keras_serializable(package="kvae")
class VAE(ArrayMethods):
    """A variational autoencoder: p(x|z) p(z), with q(z|x) for inference.

        loss = batch mean of -E_q[log p(x|z)] + KL(q(z|x) || p(z))     (objective ELBO)

    Everything a user may want to change is a part; the model only composes them. It is a
    Keras model: `compile`, `fit`, `evaluate`, `predict`, callbacks, `save`. Inputs are a
    tensor x of (B, *data_shape), or a dict with "x" and optionally "condition" and
    "mask" (1 where x is observed). `fit` and `evaluate` report, per example and in nats,
    `loss`, `elbo`, `rate` and `distortion`, further `bits_per_dim` and `active_units`.

    Args:
        encoder: Keras network from x to features.
        decoder: Keras network from z, (B, *latent_shape), to features.
        posterior: q(z|x), takes the encoder's features.
        likelihood: p(x|z), takes the decoder's features.
        prior: p(z); a standard normal if None.
        objective: what is minimized; the plain `ELBO` if None.
        seed: of all noise in training and evaluation. If None it is drawn once from
            numpy's global generator, which `keras.utils.set_random_seed` sets.
        corruption: noise on the encoder's input, in training only; the likelihood is
            always that of the clean x. None trains without.
        reasons: why parts were chosen, by their names, for `summary` to show; `for_data`
            writes them.
        schema: what the columns of x are, if it is a table; the model then takes and
            returns data frames too.
        data_kind: "vectors", "images", or "series", for pictures and scores of
            examples; None tells images from the shape of x.
        **kwargs: passed to `keras.Model`.

    Raises:
        TypeError: if a part is not of its kind.
        ValueError: if the parts do not fit together.

    Source: Kingma, Welling 2014, arXiv:1312.6114; Rezende, Mohamed, Wierstra 2014,
        arXiv:1401.4082.
    """

    built: bool  # Keras sets these two and does not declare them
    train_function: Any

    @classmethod
    def for_data(
        cls,
        x: Any,
        latent_dim: int | tuple[int, ...] | None = None,
        condition: Any = None,
        conditional_prior: bool = False,
        data_kind: str | None = None,
        schema: Schema | None = None,
        **parts: Any,
    ) -> VAE:
        """Builds a model whose parts suit the data, and prints the choice in one line.

        The line gives the reasons too. The model itself standardizes real numbers, and
        counts by their logarithm, before its encoder and after its decoder; its inputs
        and outputs, nats included, are in the units of x.
        `keras.config.disable_interactive_logging()` silences the line.

        Args:
            x: (N, ...) the training examples; (N, D) are vectors, (N, H, W) and
                (N, H, W, C) images, (N, T, F) series. A data frame makes a model of
                its table, which takes and returns data frames. Or a dict with "x" and
                optionally "mask", 1 where x is observed, and "condition".
            latent_dim: D, the number of latent dimensions, or for images the shape of one
                latent, such as (16, 16, 4); a given posterior takes precedence. None
                takes a map of 4 channels for images from 32 pixels on a side, and
                otherwise 16.
            condition: (N, ...) what x is conditioned on: (N,) integers are labels, other
                numbers are vectors or images; None builds an unconditional model.
            conditional_prior: learn p(z|c) instead of a fixed p(z).
            data_kind: "vectors", "images" or "series"; None infers it from the data,
                and raises if they are ambiguous.
            schema: what the columns of the table are; None finds it in a data frame.
            **parts: any argument of `VAE`, used as given. `encoder` may also be a
                function of the layer that prepares x: `lambda preprocess:
                networks.mlp(shape, preprocess=preprocess)`.

        Returns:
            vae: built, not compiled.

        Raises:
            ValueError: if x is empty or not finite, its shape is ambiguous or fits no
                network, float32 can't resolve its units, or the condition does not fit
                x.
        """
        if schema is None and is_frame(x) and "likelihood" not in parts:
            schema = Schema.of(x)
        schema = check_schema(schema)
        masked = False
        if isinstance(x, dict):
            inputs = Inputs.of(x)
            condition = inputs.condition if condition is None else condition
            masked = inputs.mask is not None
            x = filled_examples(inputs.x, inputs.mask) if masked else inputs.x
        x = read_examples(x) if schema is None else schema.examples(x)
        choice = choose_parts(
            x,
            latent_dim,
            parts,
            condition,
            conditional_prior,
            data_kind,
            schema,
            masked,
        )
        say(str(choice))
        vae = cls(**choice.parts, reasons=choice.reasons)
        adapt_parts(vae, x)
        return vae

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
        reasons: dict[str, str] | None = None,
        schema: Schema | None = None,
        data_kind: str | None = None,
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
        self.schema = check_schema(schema)
        self.data_kind = check_data_kind(data_kind)
        check_fit(self)
        self.reasons = check_dict("reasons", reasons)
        self.seed = None if seed is None else check_seed(seed)
        self._input_shapes: dict[str, list[int | None]] | None = None

        first = np.random.randint(2**31) if self.seed is None else self.seed
        self.noise_seed = self._counter("noise_seed", first)
        self.step = self._counter("step", 0)
        self._evaluated = self._counter("evaluated", 0)
        self._guard: GradientGuard | None = None
        self._skipped_steps = keras.metrics.Sum(name="skipped_steps")
        self._trackers = make_trackers(self.prior)

        for part in (self.posterior, self.prior, self.likelihood, self.objective):
            part.attach(self)
        warn_of_head(self)
        if (shapes := self._declared_shapes()) is not None:
            self.build(shapes)

    # === What it is a model of ===

    @property
    def latent_dim(self) -> int:
        """D, the number of latent dimensions."""
        return self.posterior.latent_dim

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent as users and networks see it: (D,), or such as (8, 8, 4)."""
        return self.posterior.latent_shape

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
        """What the model is conditioned on: shape and classes; None if nothing."""
        return Condition.of(self)

    @property
    def trainable_variables(self) -> list[Any]:
        """What the model's optimizer trains: all but what the objective trains itself."""
        own = {id(v) for _, group in self.objective.own_optimizers() for v in group}
        return [v for v in super().trainable_variables if id(v) not in own]

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Prints the parts, their sizes, and why `for_data` chose them.

        Args:
            line_length: as in Keras, of the networks.
            positions: as in Keras, of the networks.
            print_fn: called with the text; `print` if None.
            expand_nested: print the layers of encoder and decoder too, as Keras does.
            show_trainable: as in Keras, of the networks.
            layer_range: as in Keras, of the networks.
        """
        (print_fn or print)(describe.text(self))
        if expand_nested:
            for network in (self.encoder, self.decoder):
                network.summary(
                    line_length, positions, print_fn, True, show_trainable, layer_range
                )

    def __repr__(self) -> str:
        return describe.line(self)

    def _repr_html_(self) -> str:
        return describe.page(self)

    def check_inputs(self, data: Any) -> Inputs:
        """Checks a data set held as arrays before any graph is built.

        Args:
            data: (N, *data_shape), or a dict with "x" and optionally "condition" and
                "mask"; x may be a data frame for a model of a table.

        Returns:
            inputs: as numpy arrays.

        Raises:
            ValueError: if x, condition or mask do not fit the model or one another.
        """
        inputs = self.read_inputs(data)
        given = None if inputs.condition is None else np.asarray(inputs.condition)
        condition = self._checked_condition(given)
        inputs = dataclasses.replace(inputs, condition=condition)
        return check_arrays(inputs, self.data_shape, self.likelihood)

    def read_inputs(self, data: Any) -> Inputs:
        """Reads inputs without checking them; a model of a table reads data frames too.

        Args:
            data: as `check_inputs` takes it.
        """
        return Inputs.of(data) if self.schema is None else self.schema.inputs(data)

    def _checked_condition(self, given: Any) -> Any:
        if given is None and self.objective.makes_condition:
            return None
        return check_condition(self.condition, given, self.built)

    # === Densities: what objectives, evaluation and export ask of a model ===

    def posterior_params(self, inputs: Inputs, training: bool = False) -> Params:
        """Computes the parameters of q(z|x), each (B, ...)."""
        x = tf.cast(inputs.x, self.maths_dtype)
        optional = {"condition": inputs.condition}
        if inputs.mask is not None:
            x = tf.where(tf.cast(inputs.mask, tf.bool), x, self.likelihood.neutral)
        if "mask" in (declared_inputs(self.encoder) or ()):
            mask = tf.ones_like(x) if inputs.mask is None else inputs.mask
            optional["mask"] = tf.cast(mask, x.dtype)
        return self.posterior(call_network(self.encoder, ("x", x), optional, training))

    def likelihood_params(
        self, z: Tensor, condition: Tensor | None = None, training: bool = False
    ) -> Params:
        """Computes the parameters of p(x|z): z of (..., B, D) gives each (..., B, ...)."""
        lead = tf.shape(z)[:-1]
        rows = tf.reshape(z, (-1, *self.latent_shape))
        if condition is not None:
            condition = condition_rows(tf.convert_to_tensor(condition), z)
        features = call_network(
            self.decoder, ("z", rows), {"condition": condition}, training
        )
        params = self.likelihood(features)
        return params if len(z.shape) == 2 else _led_by(lead, params)

    def draw(
        self,
        inputs: Inputs,
        noise: Noise,
        num_samples: int | Tensor,
        training: bool = False,
        sampler: Sampler | None = None,
        prior: Params | None = None,
    ) -> Draw:
        """Draws latents from q(z|x) and evaluates every density at them.

        Args:
            inputs: one batch.
            noise: where the base noise comes from.
            num_samples: K, latents per example.
            training: passed to the networks.
            sampler: makes latents and log q(z|x) from the parameters and the base
                noise, for an estimator that changes their gradients; the posterior's
                own `sample_and_log_prob` if None.
            prior: parameters of p(z) if already known; computed if None.

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
        if sampler is None:
            walk = self.posterior.walk(posterior, base)
        else:
            walk = Walk(*sampler(posterior, base))
        return self.weigh(
            inputs,
            posterior,
            walk.z,
            walk.log_posterior,
            prior=prior,
            training=training,
            walk=walk,
        )

    def weigh(
        self,
        inputs: Inputs,
        posterior: Params,
        z: Tensor,
        log_posterior: Tensor,
        prior: Params | None = None,
        likelihood: Params | None = None,
        training: bool = False,
        walk: Walk | None = None,
    ) -> Draw:
        """Evaluates p(z) and p(x|z) at latents that are already drawn.

        Args:
            inputs: one batch.
            posterior: parameters of q(z|x).
            z: (K, B, D) latents.
            log_posterior: (K, B) log-density of the law they were drawn from, nats.
            prior: parameters of p(z) if already known; computed if None.
            likelihood: parameters of p(x|z) if already known; computed if None.
            training: passed to the decoder.
            walk: what the posterior computed while it drew z; it is not computed again.

        Returns:
            draw: the same latents with every density at them.
        """
        prior = self.prior(inputs.condition) if prior is None else prior
        walk = Walk(z, log_posterior) if walk is None else walk
        if likelihood is None and walk.features is not None:
            likelihood = _led_by(tf.shape(z)[:-1], self.likelihood(walk.features))
        if likelihood is None:
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
            log_prior=self.prior.log_prob(prior, z)
            if walk.log_prior is None
            else walk.log_prior,
            log_posterior=log_posterior,
            entries=count_observed(inputs.mask, self.maths_dtype),
            walk=walk,
        )

    # === The loss, the same in training and evaluation ===

    def _loss_parts(
        self, inputs: Inputs, noise: Noise, sample_weight: Tensor | None, training: bool
    ) -> LossParts:
        """Computes the objective's terms and adds the KL to the model's losses."""
        inputs = dataclasses.replace(inputs, sample_weight=sample_weight)
        # Called as a layer: losses of the networks' own layers are then kept until the
        # next step, however often the objective runs a network.
        parts = self.objective(
            inputs=inputs, model=self, noise=noise, training=training
        )
        self.add_loss(batch_mean(parts.kl_term, sample_weight, inputs.count))
        # Computed here, before the optimizer moves the weights that it depends on.
        return dataclasses.replace(parts, metrics=self._reported(parts))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: LossParts | None = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Adds up the loss of a batch: data term, KL term, regularizers; scalar nats.

        y is not used, and of x only `count`: `y_pred` holds the loss parts.
        """
        del y, training
        assert y_pred is not None, "y_pred holds the LossParts of the batch"
        count = None if x is None else x.count
        data_term = batch_mean(y_pred.data_term, sample_weight, count)
        # Replicas add up: a loss of weights or layers gets their share of the examples.
        share = batch_mean(tf.ones_like(y_pred.data_term), None, count)
        kl, regularizers = self._added_losses(data_term.dtype)
        return data_term + kl + regularizers * share

    def _added_losses(self, dtype: Any) -> tuple[Tensor, Tensor]:
        """The KL that this step added, and the sum of all other losses."""
        # Keras lists what a layer added itself before what its layers and weights add.
        kl, *others = (tf.cast(loss, dtype) for loss in self.losses)
        return kl, tf.add_n([tf.zeros((), dtype), *others])

    def _reported(self, parts: LossParts) -> dict[str, Tensor]:
        """The values that objective and posterior report, besides those of every model."""
        if parts.draw is None:
            return parts.metrics
        return {**parts.metrics, **self.posterior.report(parts.draw)}

    # === Training and evaluation, as Keras calls them ===

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        max_gradient_norm: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures training, as in Keras; the loss is the objective's.

        Args:
            optimizer: any Keras optimizer.
            loss: must stay None.
            metrics: must stay None.
            max_gradient_norm: steps whose gradient has a larger norm over all weights
                are skipped and counted in the metric `skipped_steps`; None sets no
                limit.
            **kwargs: passed to `keras.Model.compile`. Dense networks on a CPU train up
                to twice as fast with `jit_compile=True, steps_per_execution=24`; XLA
                draws other noise from the same seed.

        Raises:
            ValueError: if a loss or metrics are given, a number is out of range, or the
                arguments cannot be used with the model's distribution strategy.
        """
        weighted = kwargs.get("weighted_metrics") or kwargs.get("loss_weights")
        if loss is not None or metrics or weighted:
            raise ValueError(
                "a VAE has no target to compare with, so compile takes neither loss nor "
                "metrics. Choose likelihood= and objective= when building the model."
            )
        if "steps_per_execution" in kwargs:
            check_count("steps_per_execution", kwargs["steps_per_execution"])
        check_optimizer(optimizer)
        super().compile(optimizer=optimizer, **kwargs)
        check_compile_arguments(self.distribute_strategy, self.optimizer, kwargs)
        limit = max_gradient_norm
        self._guard = None if limit is None else GradientGuard(limit)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> Any:
        """Trains the model: `keras.Model.fit` without targets.

        Arguments are those of Keras; these differ.

        Args:
            x: array (N, *data_shape), a dict of arrays, a `tf.data.Dataset` or anything
                else that Keras takes.
            y: must stay None; labels go in as {"x": x, "condition": labels}.
            batch_size: examples per step; 32 if None.
            epochs: passes over the data.
            verbose: 0, 1, 2 or "auto".
            callbacks: one with a method `around_fit(model, arguments)`, a context
                manager that yields arguments, runs around the whole fit.
            validation_split: fraction of the examples, the last ones, to validate on.
            validation_data: takes the forms of x.
            shuffle: whether to reorder the examples in each epoch.
            class_weight: must stay None.
            sample_weight: (N,) how much each example counts.
            initial_epoch: the epoch to start counting from.
            steps_per_epoch: batches per epoch, for data without an end.
            validation_steps: batches per validation, for data without an end.
            validation_batch_size: examples per validation step; `batch_size` if None.
            validation_freq: epochs between validations.

        Returns:
            history: a Keras `History`.

        Raises:
            ValueError: if the data are empty, of the wrong shape, not finite or outside
                the likelihood's support.
            WorkerLost: if another worker of a distributed fit ended.
        """
        arguments = prepare_data(
            self,
            {
                "x": x,
                "y": y,
                "batch_size": batch_size,
                "epochs": epochs,
                "verbose": verbose,
                "callbacks": callbacks,
                "validation_split": validation_split,
                "validation_data": validation_data,
                "shuffle": shuffle,
                "class_weight": class_weight,
                "sample_weight": sample_weight,
                "initial_epoch": initial_epoch,
                "steps_per_epoch": steps_per_epoch,
                "validation_steps": validation_steps,
                "validation_batch_size": validation_batch_size,
                "validation_freq": validation_freq,
            },
        )
        set_modes(callbacks)
        check_same_weights(self)
        strategy = self.distribute_strategy
        with workers_named(strategy), contextlib.ExitStack() as stack:
            if self._guard is not None:
                arguments = self._guard.watched(arguments)
            for callback in keras.tree.flatten(arguments["callbacks"] or []):
                if hasattr(callback, "around_fit"):
                    around = callback.around_fit(self, arguments)
                    arguments = stack.enter_context(around)
            return super().fit(**in_batches(self, with_progress(arguments)))

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Measures the loss and its parts: `keras.Model.evaluate` without targets.

        Example i of the data gets the same noise in every call, whatever the batch size.
        Arguments and errors are those of Keras and of `fit`.
        """
        arguments = {
            "x": x,
            "y": y,
            "batch_size": batch_size,
            "verbose": verbose,
            "sample_weight": sample_weight,
            "steps": steps,
            "callbacks": callbacks,
            "return_dict": return_dict,
            **kwargs,
        }
        if not kwargs.get("_use_cached_eval_dataset"):  # within fit, which has checked
            arguments = with_progress(prepare_data(self, arguments))
        with workers_named(self.distribute_strategy):
            return super().evaluate(**arguments)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """Takes one optimizer step on one batch."""
        inputs, sample_weight = self._unpack(data)
        noise = self._training_noise()
        with tf.GradientTape() as tape:
            parts = self._loss_parts(inputs, noise, sample_weight, training=True)
            loss = self.compute_loss(inputs, y_pred=parts, sample_weight=sample_weight)
            scaled = self.optimizer.scale_loss(loss)
        groups = [(self.optimizer, self.trainable_variables)]
        groups += self.objective.own_optimizers()
        _, regularizers = self._added_losses(loss.dtype)  # before the weights change
        gradients = tape.gradient(scaled, [variables for _, variables in groups])
        if self._guard is None:
            apply_gradients(groups, gradients)
        else:
            skipped = self._guard.apply(groups, gradients)
            self._skipped_steps.update_state(skipped)
        self.step.assign_add(1)
        return self._report(parts, sample_weight, regularizers)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Measures one batch; the same loss as in `train_step`."""
        inputs, sample_weight = self._unpack(data)
        key = tf.stack([tf.cast(self.noise_seed.value, tf.int32), _EVALUATION])
        first_example = tf.cast(self._evaluated.value, tf.int32)
        noise = fold_replica(Noise(key, first_example))
        parts = self._loss_parts(inputs, noise, sample_weight, training=False)
        _, regularizers = self._added_losses(parts.data_term.dtype)
        num = tf.cast(tf.shape(inputs.x)[0], self._evaluated.dtype)
        self._evaluated.assign_add(num)
        return self._report(parts, sample_weight, regularizers)

    def _unpack(self, data: Any) -> tuple[Inputs, Tensor | None]:
        """Reads a batch, and counts its examples on all replicas before anything else.

        Replicas run in turns up to a collective, and share what `add_loss` collects. So
        none may come between the losses and their sum.
        """
        inputs, sample_weight = unpack_batch(data)
        condition = self._checked_condition(inputs.condition)
        count = global_count(inputs.x)
        self._clear_losses()  # Keras clears the losses of the layer called first, not ours
        inputs = dataclasses.replace(inputs, condition=condition, count=count)
        return inputs, sample_weight

    def _training_noise(self) -> Noise:
        seed, step = (tf.cast(v.value, tf.int32) for v in (self.noise_seed, self.step))
        return fold_replica(Noise(tf.stack([seed, step])))

    def _report(
        self, parts: LossParts, sample_weight: Tensor | None, regularizers: Tensor
    ) -> dict[str, Tensor]:
        update_trackers(
            self._trackers, parts, sample_weight, regularizers, self.data_shape
        )
        return reducible(self.get_metrics_result())

    @property
    def metrics(self) -> list[Any]:
        """The metrics that `fit` and `evaluate` report."""
        guarded = [] if self._guard is None else [self._skipped_steps]
        return [*self._trackers.values(), *guarded]

    def reset_metrics(self) -> None:
        """Starts an epoch or an evaluation: metrics at zero, noise at the first example."""
        super().reset_metrics()
        self._evaluated.assign(0)

    def make_train_function(self, force: bool = False) -> None:
        """Makes what `fit` calls, as Keras does; one XLA program where that is faster."""
        if force or self.train_function is None:
            if self.built and not self.optimizer.built:
                # TensorFlow traces a function twice if the first trace makes variables.
                self.optimizer.build(self.trainable_variables)
            super().make_train_function(force)
            if joins_steps(self):
                self.train_function = joined_train_function(self, self.train_function)

    def _maybe_symbolic_build(self, **kwargs: Any) -> None:
        """Makes the optimizer's variables.

        Keras would read a batch to do so, which fails on several workers if a batch
        holds more than x. Here the model is already built from the data.
        """
        if self._distribute_strategy is None or not self.built:
            super()._maybe_symbolic_build(**kwargs)
        elif not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    # === Building and saving ===

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights, by one eager pass over a tiny batch of blank examples.

        The pass runs the objective too, so parts that do not fit together are refused
        here, in plain words, instead of inside a graph. It also makes a metric for each
        value that objective or posterior reports.

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
        if (condition := self.condition) is not None:
            self._input_shapes["condition"] = [None, *condition.shape]
        eager = tf.executing_eagerly()  # there, `init_scope` would only stop tapes
        with contextlib.nullcontext() if eager else tf.init_scope():
            noise = Noise(tf.zeros(2, tf.int32))
            parts = self.objective.parts(self, self._blank(), noise, training=False)
        for name in self._reported(parts):
            self._trackers.setdefault(name, keras.metrics.Mean(name=name))
        self.built = True

    def _blank(self) -> Inputs:
        """Two examples that any model takes."""
        x = tf.zeros([2, *self.data_shape], self.maths_dtype) + self.likelihood.filler
        condition = self.condition
        return Inputs(x, None if condition is None else condition.blank(2))

    def build_for(self, inputs: Inputs) -> None:
        """Builds the model for some inputs, if it is not built yet."""
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
            return None  # only the data will show the condition of the prior
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

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Exports `call`, the reconstruction, as Keras exports any model.

        `kvae.export.export` writes decoder, encoder, samples and scores, with a proof.
        Arguments are those of `keras.Model.export`.
        """
        if self.built and not self._called:  # fitted or loaded: Keras asks for a call
            blank = self._blank()
            self(blank.to_keras())
            kwargs.setdefault(
                "input_signature",
                [
                    tf.nest.map_structure(
                        lambda t: keras.InputSpec(t.dtype.name, (None, *t.shape[1:])),
                        blank.to_keras(),
                    )
                ],
            )
        super().export(filepath, *args, **kwargs)

    def get_build_config(self) -> dict[str, Any] | None:
        """Returns the input shapes, for loading."""
        return (
            None if self._input_shapes is None else {"input_shape": self._input_shapes}
        )

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns the arguments of `compile`, for saving."""
        config = super().get_compile_config()
        if config and self._guard is not None:
            config["max_gradient_norm"] = self._guard.limit
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "seed": self.seed,
            "reasons": dict(self.reasons),
            "schema": keras.saving.serialize_keras_object(self.schema),
            "data_kind": self.data_kind,
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
        copy: VAE = type(self).from_config(config)
        if self.built:
            if not copy.built:
                copy.build(self._input_shapes)
            for part in kept:
                getattr(copy, part).set_weights(getattr(self, part).get_weights())
            copy.step.assign(self.step.value)
        return copy


def _led_by(lead: Tensor, params: Params) -> Params:
    """Splits the rows of parameters (R, ...) into the axes `lead`."""
    return {
        name: tf.reshape(value, tf.concat([lead, value.shape[1:]], axis=0))
        for name, value in params.items()
    }
