"""A discriminator with an optimizer of its own, on pictures or on latents."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count, check_optimizer
from kvae.core.inputs import Inputs
from kvae.core.types import Draw, LossParts, Tensor
from kvae.networks import mlp, patch_discriminator
from kvae.noise import Noise
from kvae.objectives.base import Objective, batch_mean
from kvae.objectives.gradients import stopped
from kvae.objectives.weight import Schedule, Weight, Weighted
from kvae.objectives.wrapper import Wrapper, normals_beside, refuse_dreg

_PRIOR = 0xADE
_PLACES = ("pixels", "latents")
_LOSSES = {"pixels": "hinge", "latents": "logistic"}
_LARGEST = 1e6  # of the adaptive weight


@keras.saving.register_keras_serializable(package="kvae")
class Adversarial(Weighted, Wrapper):
    """Adds what a discriminator says, which an optimizer of its own trains in each step.

        loss = objective + weight * a * g(D(fake))
        the discriminator minimizes 0.5 (d(D(real)) + d(-D(fake)))

    D are logits, which are averaged over patches. On "pixels", x is real and the mean of
    p(x|z) is fake, so reconstructions become sharp. On "latents", draws from p(z) are real
    and z from q(z|x) is fake, so q(z) becomes p(z): with `ELBO(beta=0)` inside, this is an
    adversarial autoencoder, or WAE-GAN. The losses are

        "hinge":    d(u) = max(0, 1 - u),    g(u) = -u
        "logistic": d(u) = log(1 + exp(-u)), g(u) = log(1 + exp(-u))

    On pixels, a is the adaptive weight of latent diffusion, which gives both terms
    gradients of the same norm at the last layer, the heads of the likelihood:

        a = |d(data term) / d(heads)| / |d(generator loss) / d(heads)|,  at most 1e6

    It is computed from each batch (of one replica) and held constant under the gradient.
    On latents, and with `adaptive=False`, a = 1.

    Before `start_step` nothing is added, and the discriminator doesn't learn. Start when
    reconstructions are right but blurred: the adaptive weight makes much of whatever the
    discriminator says, and at first that is noise. `rate`,
    `distortion`, and `elbo` are those of the wrapped objective: the adversarial term is
    not part of a bound. Metrics are `pixel_discriminator_loss` (1 for the hinge and
    log 2 = 0.693 for the logistic loss of a blind discriminator), `pixel_generator_loss`,
    and `pixel_adaptive_weight`, or the same with `latent_`.

    Unlike in VAE-GAN, only reconstructions are fake and not also decoded draws from p(z),
    and distances in the discriminator's own features are not used; `Perceptual` inside
    takes those of another network.

    The discriminator sees pictures less their mean and divided by their spread, one number
    each, which `adapt` measures. Missing entries of x are filled from the reconstruction.
    It doesn't see the condition of a conditional model.

    Args:
        objective: the objective to which the term is added; the plain `ELBO` if None.
        discriminator: Keras network from x, (B, *data_shape), or from z,
            (B, *latent_shape), to logits (B, ..., 1). None makes
            `networks.patch_discriminator` for what has the shape of a picture, and two
            dense layers of 256 units for anything else.
        weight: a number or a schedule (reported as `pixel_weight` or `latent_weight`).
        on: "pixels" or "latents".
        start_step: the step of training at which it starts.
        adaptive: whether to use the adaptive weight. None: on pixels.
        loss: "hinge" or "logistic". None: "hinge" on pixels, "logistic" on latents.
        optimizer: of the discriminator: a Keras optimizer, its name, or its configuration.
            None is Adam with a learning rate of 2e-4, beta_1 of 0.5, and beta_2 of 0.9.
            It is saved with the model and with checkpoints; `compile` leaves it as it is.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `discriminator` or `objective` has the wrong type.
        ValueError: if an argument is out of range, or, when the VAE is built, if the
            discriminator takes another shape, or the wrapped objective is adversarial in
            the same place or `IWAE(gradient="dreg")` on pixels.

    Source: pixels: Larsen et al. 2016, VAE-GAN, arXiv:1512.09300; the adaptive weight:
        Esser, Rombach, Ommer 2021, arXiv:2012.09841, equation 7, and Rombach et al. 2022,
        latent diffusion, arXiv:2112.10752; hinge: Lim, Ye 2017, arXiv:1705.02894.
        Latents: Makhzani et al. 2016, arXiv:1511.05644; Tolstikhin et al. 2018, WAE-GAN,
        arXiv:1711.01558, algorithm 1.
    """

    def __init__(
        self,
        objective: Objective | None = None,
        discriminator: Any = None,
        weight: float | Schedule = 0.5,
        *,
        on: str = "pixels",
        start_step: int = 0,
        adaptive: bool | None = None,
        loss: str | None = None,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(objective, **kwargs)
        if not isinstance(discriminator, (keras.layers.Layer, type(None))):
            raise TypeError(
                "Adversarial expects discriminator to be a Keras network to logits, such "
                "as kvae.networks.patch_discriminator(data_shape), or None; received "
                f"{discriminator!r}."
            )
        if on not in _PLACES:
            raise ValueError(
                f"Adversarial expects on to be one of {_PLACES}; received {on!r}."
            )
        if loss not in (None, "hinge", "logistic"):
            raise ValueError(
                'Adversarial expects loss to be "hinge", "logistic", or None; received '
                f"{loss!r}."
            )
        if adaptive and on == "latents":
            raise ValueError(
                "the adaptive weight compares gradients at the decoder's last layer, "
                'which latents do not reach. Use on="pixels", or adaptive=False.'
            )
        self.discriminator = discriminator
        self.on = on
        self.start_step = check_count("start_step", start_step, 0)
        self.adaptive = adaptive
        self.loss = loss
        if optimizer is None:
            optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5, beta_2=0.9)
        check_optimizer(optimizer)
        self.optimizer = keras.optimizers.get(optimizer)
        self._weight = Weight(self, "weight", weight, metric=f"{self._prefix}_weight")
        self._loc, self._spread = (
            self.add_weight(
                name=name,
                initializer=start,
                shape=(),
                trainable=False,
                autocast=False,
            )
            for name, start in (("loc", "zeros"), ("spread", "ones"))
        )
        self._network: Any = None

    @property
    def _prefix(self) -> str:
        return self.on.removesuffix("s")

    def attach(self, model: Any) -> None:
        """Makes the discriminator, or checks that it takes the model's shapes."""
        super().attach(model)
        inner = self.objective
        while isinstance(inner, Wrapper):
            if isinstance(inner, Adversarial) and inner.on == self.on:
                raise ValueError(
                    f'two Adversarial objectives are on="{self.on}". Use one of them, or '
                    'one on="pixels" and one on="latents".'
                )
            inner = inner.objective
        if self.on == "pixels":
            refuse_dreg(self)
        if self._network is not None:
            return
        pixels = self.on == "pixels"
        shape = model.data_shape if pixels else model.latent_shape
        network = self.discriminator
        network = _default(shape) if network is None else network
        _check_shapes(network, shape, "examples" if pixels else "latents")
        self._network = network
        if model.dtype_policy.name == "mixed_float16" and not isinstance(
            self.optimizer, keras.optimizers.LossScaleOptimizer
        ):
            self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
        self.optimizer.build(network.trainable_variables)

    def adapt(self, x: Any, seed: int = 0) -> None:
        """Measures the mean and the spread of the pixels."""
        super().adapt(x, seed)
        x = np.asarray(x, "float32")
        self._loc.assign(np.nanmean(x, dtype="float64"))
        self._spread.assign(np.nanstd(x, dtype="float64") or 1.0)

    def own_optimizers(self) -> list[tuple[Any, list[Any]]]:
        """The discriminator's optimizer and variables, after those inside."""
        inner = self.objective.own_optimizers()
        if self._network is None or not self._network.trainable_variables:
            return inner
        return [*inner, (self.optimizer, self._network.trainable_variables)]

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Adds the generator's loss to the data term, (B,)."""
        heads = model.likelihood.trainable_variables if self._is_adaptive else []
        if self._is_adaptive and model.likelihood.built and not heads:
            raise ValueError(
                "the adaptive weight needs a likelihood that is trained; this one is "
                "frozen. Use Adversarial(adaptive=False)."
            )
        heads = [head._value for head in heads]  # `value` is cast in half precision
        tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        with tape:
            tape.watch(heads)
            parts, draw = self.wrapped_parts(model, inputs, noise, training)
            real, fake = self._pairs(model, inputs, draw, noise)
            with stopped(self._network):
                # Not as in training, where spectral normalization moves the kernels.
                logits = self._logits(fake, training=False)
            generator = self._loss(logits, generator=True)
            gauges = [
                batch_mean(term, inputs.sample_weight)
                for term in (parts.data_term, generator)
            ]
        adaptive = _ratio(tape, gauges, heads) if self._is_adaptive else 1.0
        both = tf.stop_gradient(tf.concat([real, fake], axis=1))
        real_logits, fake_logits = tf.split(self._logits(both, training), 2, axis=1)
        discriminator = 0.5 * (self._loss(real_logits) + self._loss(-fake_logits))
        dtype = parts.data_term.dtype
        active = tf.cast(model.step.value >= self.start_step, dtype)
        weight = active * self._weight.at(model, dtype) * adaptive
        # Each gradient reaches its own network: the other is constant in that term.
        silent = active * (discriminator - tf.stop_gradient(discriminator))
        metrics = {"discriminator_loss": discriminator, "generator_loss": generator}
        if self._is_adaptive:
            metrics["adaptive_weight"] = adaptive
        return dataclasses.replace(
            parts,
            data_term=parts.data_term + weight * generator + silent,
            metrics={
                **parts.metrics,
                **{f"{self._prefix}_{k}": v for k, v in metrics.items()},
                **self._weight.metrics(model),
            },
        )

    @property
    def _is_adaptive(self) -> bool:
        return self.on == "pixels" if self.adaptive is None else self.adaptive

    def _pairs(
        self, model: Any, inputs: Inputs, draw: Draw, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Returns the real and the fake inputs of the discriminator, each (K, B, ...)."""
        if self.on == "latents":
            normals = normals_beside(noise, _PRIOR, draw.z, model.prior.noise_dim)
            real = model.prior.sample(draw.prior, normals)
            shape = tf.concat([tf.shape(draw.z)[:2], model.latent_shape], axis=0)
            return tf.reshape(real, shape), tf.reshape(draw.z, shape)
        fake = model.likelihood.mean(draw.likelihood)
        real = tf.broadcast_to(tf.cast(inputs.x, fake.dtype), tf.shape(fake))
        if inputs.mask is not None:
            real = tf.where(tf.cast(inputs.mask, tf.bool), real, fake)
        loc, spread = (tf.cast(w.value, fake.dtype) for w in (self._loc, self._spread))
        return (real - loc) / spread, (fake - loc) / spread

    def _logits(self, seen: Tensor, training: bool) -> Tensor:
        """Judges (K, B, ...): (K, B, patches)."""
        lead = tf.shape(seen)[:2]
        flat = tf.reshape(seen, tf.concat([[-1], tf.shape(seen)[2:]], axis=0))
        flat = tf.ensure_shape(flat, (None, *self._network.input_shape[1:]))
        logits = tf.cast(self._network(flat, training=training), seen.dtype)
        return tf.reshape(logits, tf.concat([lead, [-1]], axis=0))

    def _loss(self, logits: Tensor, generator: bool = False) -> Tensor:
        """The loss of logits that should be large, (B,), from (K, B, patches)."""
        if (self.loss or _LOSSES[self.on]) == "logistic":
            loss = tf.nn.softplus(-logits)
        else:
            loss = -logits if generator else tf.nn.relu(1.0 - logits)
        return tf.reduce_mean(loss, axis=(0, 2))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        discriminator = self.discriminator
        if discriminator is not None:
            discriminator = keras.saving.serialize_keras_object(discriminator)
        return {
            **super().get_config(),
            "discriminator": discriminator,
            "weight": self._weight.config(),
            "on": self.on,
            "start_step": self.start_step,
            "adaptive": self.adaptive,
            "loss": self.loss,
            "optimizer": keras.saving.serialize_keras_object(self.optimizer),
        }


def _default(shape: tuple[int, ...]) -> Any:
    """A discriminator for examples or latents of a shape."""
    if len(shape) in (2, 3) and min(shape[:2]) >= 4:
        return patch_discriminator(shape)
    body = mlp(shape, (256, 256), "leaky_relu")
    network = keras.Sequential([body, keras.layers.Dense(1)], name="discriminator")
    network.build((None, *shape))
    return network


def _check_shapes(network: Any, shape: tuple[int, ...], kind: str) -> None:
    """Builds a discriminator, and raises if it doesn't suit what it is to judge."""
    if not network.built:
        network.build((None, *shape))
    taken = getattr(network, "input_shape", None)
    fits = isinstance(taken, tuple) and tf.TensorShape(taken[1:]).is_compatible_with(
        shape
    )
    if not fits:
        given = taken[1:] if isinstance(taken, tuple) else taken
        raise ValueError(
            f"the discriminator takes inputs of shape {given}, but {kind} have the shape "
            f"{shape}. Build it for them, for example "
            f"kvae.networks.patch_discriminator({shape}) for pictures, or pass "
            "discriminator=None."
        )
    made = network.output_shape
    if not isinstance(made, tuple) or made[-1] != 1:
        raise ValueError(
            "the discriminator must return logits (B, ..., 1), one for each patch or for "
            f"the whole; received outputs of shape {made}. End it with "
            "keras.layers.Dense(1)."
        )


def _ratio(tape: Any, terms: list[Tensor], heads: list[Any]) -> Tensor:
    """How much larger the gradient of the first term is at the heads, a constant."""
    gradients = [tape.gradient(term, heads) for term in terms]
    # A scale of the likelihood is reached by the data term alone. Building the model
    # runs this once while tapes are paused, and before there are heads.
    reached = [pair for pair in zip(*gradients, strict=True) if None not in pair]
    if not reached:
        return tf.zeros_like(terms[0])
    data, generator = (
        tf.linalg.global_norm(side) for side in zip(*reached, strict=True)
    )
    ratio = tf.math.divide_no_nan(data, generator)
    return tf.stop_gradient(tf.cast(tf.minimum(ratio, _LARGEST), terms[0].dtype))
