"""Training: one loss, shared by the training and the test step."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import LossParts, Tensor
from kvae.fitting.arguments import prepare_fit_arguments, unpack_batch
from kvae.fitting.array_batches import in_batches
from kvae.fitting.execution import execution, left_open
from kvae.fitting.gradient_guard import GradientGuard
from kvae.fitting.joined_steps import joined_train_function, joins_steps
from kvae.fitting.metrics import ActiveUnits
from kvae.fitting.replicas import fold_replica, reducible, whole_gradients
from kvae.model.replicated_model import ReplicatedModel
from kvae.noise import Noise
from kvae.objectives import batch_mean, global_count

_EVALUATION = 0x5EED  # second word of the key in evaluation; steps count up from 0


class TrainableModel(ReplicatedModel):
    """Adds `compile`, `fit`, `evaluate` and their steps; takes the arguments of `VAE`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first = np.random.randint(2**31) if self.seed is None else self.seed
        self.noise_seed = self._counter("noise_seed", first)
        self.step = self._counter("step", 0)
        self._evaluated = self._counter("evaluated", 0)
        self._guard: GradientGuard | None = None
        self._left_open: tuple[str, ...] = ()
        self._skipped_steps = keras.metrics.Sum(name="skipped_steps")
        means = ("loss", "elbo", "rate", "distortion", "bits_per_dim")
        self._trackers: dict[str, Any] = {n: keras.metrics.Mean(name=n) for n in means}
        least = 0.01 * self.prior.unit_variance
        self._trackers["active_units"] = ActiveUnits(self.latent_dim, least)
        if (shapes := self._declared_shapes()) is not None:
            self.build(shapes)

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights, and a metric for each further value the objective reports."""
        super().build(input_shape)
        for name in self._loss_metric_names:
            self._trackers.setdefault(name, keras.metrics.Mean(name=name))

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
                are left out and counted in the metric `skipped_steps`; None: no such
                limit.
            **kwargs: passed to `keras.Model.compile`; `kvae.fitting.execution` chooses
                `jit_compile` and `steps_per_execution` for each fit if not given.

        Raises:
            ValueError: if a loss or metrics are given, or the limit is not above 0.
        """
        weighted = kwargs.get("weighted_metrics") or kwargs.get("loss_weights")
        if loss is not None or metrics or weighted:
            raise ValueError(
                "a VAE has no target to compare with, so compile takes neither loss nor "
                "metrics. Choose likelihood= and objective= when building the model."
            )
        self._left_open = left_open(kwargs)
        super().compile(optimizer=optimizer, **kwargs)
        limit = max_gradient_norm
        self._guard = None if limit is None else GradientGuard(self.optimizer, limit)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns the arguments of `compile`, for saving."""
        config = super().get_compile_config()
        if config and self._guard is not None:
            config["max_gradient_norm"] = self._guard.limit
        if config:  # Keras notes what it chose
            for name in self._left_open:
                del config[name]
        return config

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
            **kwargs: as in Keras; `validation_data` takes the forms of x. A callback with
                a method `around_fit(model, arguments)`, a context manager that yields
                arguments, runs around the whole fit.

        Returns:
            history: a Keras `History`.

        Raises:
            ValueError: if the data are empty, of the wrong shape, not finite or outside
                the likelihood's support.
        """
        arguments = prepare_fit_arguments(self, keras.Model.fit, (x, y, *args), kwargs)
        with self._workers_named(), contextlib.ExitStack() as stack:
            stack.enter_context(execution(self, arguments, self._left_open))
            if self._guard is not None:
                arguments = self._guard.watched(arguments)
            for callback in keras.tree.flatten(arguments.get("callbacks") or []):
                if hasattr(callback, "around_fit"):
                    around = callback.around_fit(self, arguments)
                    arguments = stack.enter_context(around)
            return super().fit(**in_batches(self, arguments))

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Measures the loss and its parts: `keras.Model.evaluate` without targets.

        Example i of the data gets the same noise in every call, whatever the batch size.
        Arguments and errors are those of `fit`.
        """
        method = keras.Model.evaluate
        arguments = prepare_fit_arguments(self, method, (x, y, *args), kwargs)
        return super().evaluate(**arguments)

    def make_train_function(self, force: bool = False) -> None:
        """Makes what `fit` calls, as Keras does; one XLA program where that is faster."""
        if force or self.train_function is None:
            super().make_train_function(force)
            if joins_steps(self):
                self.train_function = joined_train_function(self, self.train_function)

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """Takes one optimizer step on one batch."""
        inputs, sample_weight = self._unpack(data)
        with tf.GradientTape() as tape:
            parts = self._loss_parts(
                inputs, self._training_noise(), sample_weight, True
            )
            loss = self.compute_loss(inputs, y_pred=parts, sample_weight=sample_weight)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        regularisers = self._added_losses(loss.dtype)[1]  # before the weights change
        gradients = whole_gradients(tape.gradient(scaled, variables), self.optimizer)
        if self._guard is None:
            self.optimizer.apply(gradients, variables)
        else:
            skipped = self._guard.apply(gradients, variables)
            self._skipped_steps.update_state(skipped)
        self.step.assign_add(1)
        return self._report(parts, sample_weight, regularisers)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Measures one batch; the same loss as in `train_step`."""
        inputs, sample_weight = self._unpack(data)
        key = tf.stack([tf.cast(self.noise_seed.value, tf.int32), _EVALUATION])
        first_example = tf.cast(self._evaluated.value, tf.int32)
        noise = fold_replica(Noise(key, first_example))
        parts = self._loss_parts(inputs, noise, sample_weight, False)
        regularisers = self._added_losses(parts.data_term.dtype)[1]
        self._evaluated.assign_add(
            tf.cast(tf.shape(inputs.x)[0], self._evaluated.dtype)
        )
        return self._report(parts, sample_weight, regularisers)

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
        them. y is not used, and of x only `count`: `y_pred` holds the loss parts.
        """
        del y, training
        assert y_pred is not None, "y_pred holds the LossParts of the batch"
        count = None if x is None else x.count
        loss = batch_mean(y_pred.data_term, sample_weight, count)
        averaged, whole = self._added_losses(loss.dtype)
        # Replicas add up: a loss of weights or layers counts as the examples do.
        share = batch_mean(tf.ones_like(y_pred.data_term), None, count)
        return loss + averaged + whole * share

    def _added_losses(self, dtype: Any) -> tuple[Tensor, Tensor]:
        """The losses that the objective averaged, and those of weights and layers."""
        # The list is held, for the id of a tensor that is gone may come again.
        averaged = self.objective.losses
        ids = {id(loss) for loss in averaged}
        mine = [tf.cast(loss, dtype) for loss in self.losses if id(loss) in ids]
        others = [tf.cast(loss, dtype) for loss in self.losses if id(loss) not in ids]
        zero = tf.zeros((), dtype)
        return tf.add_n([zero, *mine]), tf.add_n([zero, *others])

    def _unpack(self, data: Any) -> tuple[Inputs, Tensor | None]:
        """Reads a batch, and counts its examples on all replicas before anything else.

        Replicas run in turns up to a collective, and share what `add_loss` collects: so
        none may stand between the losses and their sum.
        """
        inputs, sample_weight = unpack_batch(data)
        condition = self._checked_condition(inputs.condition)
        count = global_count(inputs.x)
        self._clear_losses()  # Keras clears those of the layer called first, not ours
        inputs = dataclasses.replace(inputs, condition=condition, count=count)
        return inputs, sample_weight

    def _loss_parts(
        self, inputs: Inputs, noise: Noise, sample_weight: Tensor | None, training: bool
    ) -> LossParts:
        parts = self.objective(
            inputs=inputs,
            model=self,
            noise=noise,
            sample_weight=sample_weight,
            training=training,
        )
        # Computed here, before the optimizer moves the weights that it depends on.
        return dataclasses.replace(parts, metrics=self._reported(parts))

    def _training_noise(self) -> Noise:
        seed, step = (tf.cast(v.value, tf.int32) for v in (self.noise_seed, self.step))
        return fold_replica(Noise(tf.stack([seed, step])))

    def _counter(self, name: str, start: int) -> Any:
        return self.add_weight(
            name=name,
            shape=(),
            dtype="int64",
            initializer=keras.initializers.Constant(start),
            trainable=False,
            aggregation="only_first_replica",
        )

    def _report(
        self, parts: LossParts, sample_weight: Tensor | None, regularisers: Tensor
    ) -> dict[str, Tensor]:
        loss = parts.data_term + parts.kl_term
        if sample_weight is not None:
            loss = loss * tf.cast(sample_weight, loss.dtype)
        self._trackers["loss"].update_state(loss + regularisers)
        entries = None if parts.draw is None else parts.draw.entries
        if entries is None:
            entries = tf.fill(tf.shape(parts.elbo), float(math.prod(self.data_shape)))
        self._update_bits(parts.elbo, tf.cast(entries, parts.elbo.dtype), sample_weight)
        values = {
            "elbo": parts.elbo,
            "rate": parts.rate,
            "distortion": parts.distortion,
            "active_units": parts.posterior_mean,
            **parts.metrics,
        }
        for name, value in values.items():
            weight = sample_weight if value.shape.rank else None
            self._trackers[name].update_state(value, sample_weight=weight)
        return reducible(self.get_metrics_result())

    def _update_bits(
        self, elbo: Tensor, entries: Tensor, sample_weight: Tensor | None
    ) -> None:
        """Adds a batch to the bits of all examples over all their observed entries."""
        bits = -tf.math.divide_no_nan(elbo, entries) / math.log(2.0)
        if sample_weight is not None:
            entries *= tf.cast(sample_weight, entries.dtype)
        self._trackers["bits_per_dim"].update_state(bits, sample_weight=entries)

    @property
    def metrics(self) -> list[Any]:
        """The metrics that `fit` and `evaluate` report."""
        guarded = [] if self._guard is None else [self._skipped_steps]
        return [*self._trackers.values(), *guarded]

    def reset_metrics(self) -> None:
        """Starts an epoch or an evaluation: metrics at zero, noise at the first example."""
        super().reset_metrics()
        self._evaluated.assign(0)
