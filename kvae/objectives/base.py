"""The contract of an objective."""

from __future__ import annotations

import abc
from typing import Any

import keras
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.part import Part
from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Draw, LossParts, Tensor
from kvae.noise import Noise


class Objective(Part):
    """The scalar that training minimizes, in named terms.

    Subclassing guide: implement `parts`. Start from `model.draw(...)`, which runs the
    networks and returns every density, and return terms per example in nats. The model
    averages the KL term and adds it to its losses. Make weights that change in training
    (a KL weight, a discriminator) Keras weights, because Python numbers are frozen when
    the graph is traced. If the model's parts don't fit the objective, raise in `parts`:
    the model calls it once, eagerly, when it is built.

    Args:
        **kwargs: passed to `keras.layers.Layer`.
    """

    makes_condition: bool = False
    """Whether the objective makes the model's condition from x, so that data have none."""

    monitor: str = "elbo"
    """The metric that tells the best epoch, as Keras' callbacks monitor it."""

    monitor_mode: str = "max"
    """Whether the best value of `monitor` is the largest, "max", or the smallest, "min"."""

    def __init__(self, **kwargs: Any) -> None:
        # The inputs are data, not features: half precision must not round them.
        super().__init__(autocast=False, **kwargs)
        self.built = True

    @property
    def exact_rate(self) -> bool:
        """Whether `rate` is the closed form and not an estimate from the latents."""
        return False

    @abc.abstractmethod
    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Computes the loss of each example, in named terms.

        Args:
            model: the `kvae.VAE` that is trained.
            inputs: one batch. A term that depends on the batch as a whole must respect
                `inputs.sample_weight` and be repeated for every example, so that
                `batch_mean` counts it once.
            noise: source of all randomness of this pass.
            training: whether this is a training step.

        Returns:
            parts: per example, in nats.
        """

    def rate(self, model: Any, draw: Draw) -> Tensor:
        """Estimates KL(q(z|x) || p(z)), (B,) nats, from the drawn latents.

            rate = mean_k( log q(z_k|x) - log p(z_k) )

        Override this if the objective uses the closed form.
        """
        del model
        return tf.reduce_mean(draw.log_posterior - draw.log_prior, axis=0)

    def own_optimizers(self) -> list[tuple[Any, list[Any]]]:
        """Pairs of a Keras optimizer and the variables that it trains; here none.

        Override it if the objective trains something against the model, such as a
        discriminator. The model's optimizer then leaves these variables alone. Both get
        the gradient of the same loss in the same step, so hold constant in each term
        what must not learn from it (`tf.stop_gradient`, `gradients.stopped`). Keep the
        optimizer as an attribute and build it in `attach`, so that it is saved.
        """
        return []

    def call(
        self, inputs: Inputs, model: Any, noise: Noise, training: bool
    ) -> LossParts:
        """Computes the parts of one batch."""
        return self.parts(model, inputs, noise, training)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return super().get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Makes an objective from `get_config`, with the objects in its arguments."""
        return cls(
            **{
                key: keras.saving.deserialize_keras_object(value, custom_objects)
                if isinstance(value, dict) and "class_name" in value
                else value
                for key, value in config.items()
            }
        )


@tensor_arguments
def batch_mean(
    values: Tensor, sample_weight: Tensor | None = None, count: Tensor | None = None
) -> Tensor:
    """Averages per-example values over the examples of all replicas.

        mean = sum_local(weight * value) / count

    Keras adds up the gradients of all replicas. With this local share, the loss is the
    same for any batch size, number of replicas, and size of the last batch. As in Keras'
    own losses, the weights multiply the sum and not the count.

    Args:
        values: (B,) nats.
        sample_weight: (B,) or None.
        count: how many examples there are on all replicas (`global_count`); B if None.

    Returns:
        mean: scalar nats.
    """
    total = (
        values
        if sample_weight is None
        else values * tf.cast(sample_weight, values.dtype)
    )
    count = tf.shape(values)[0] if count is None else count
    return tf.reduce_sum(total) / tf.maximum(tf.cast(count, values.dtype), 1.0)


@tensor_arguments
def global_count(values: Tensor) -> Tensor:
    """Counts the examples of a batch on all replicas: scalar float32 from (B, ...)."""
    count = tf.cast(tf.shape(values)[0], tf.float32)
    replicas = tf.distribute.get_replica_context()
    if replicas is not None and replicas.num_replicas_in_sync > 1:
        count = replicas.all_reduce(tf.distribute.ReduceOp.SUM, count)
    return count
