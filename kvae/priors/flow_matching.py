"""A prior that flows: fitted after training, by flow matching."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import MOST_LAYERS, check_latent_shape, check_size
from kvae.core.types import Params, Tensor
from kvae.networks.velocity_network import VelocityNetwork
from kvae.networks.velocity_unet import VelocityUNet
from kvae.priors.flow import FlowPrior

_EXACT = 64  # dimensions up to which the trace of the Jacobian is computed exactly
_PROBES = 8  # random directions that estimate it above
_MANY_PLACES = 16 * 16


def _channels(shape: tuple[int, ...]) -> int:
    """Channels of the largest maps by default."""
    return 64 if shape[0] * shape[1] <= _MANY_PLACES else 32


@keras.saving.register_keras_serializable(package="kvae")
class FlowMatching(FlowPrior):
    """A standard normal that is carried to the latents along a learned velocity.

        dz/dt = v(z, t),  z(0) from N(0, I),  z(1) from p(z)
        log p(z(1)) = log Normal(z(0); 0, 1) - integral of div v(z(t), t) dt

    Fit it after training with `kvae.fit_prior`: the velocity is regressed on straight
    lines from noise to latents, E |v((1 - t) e + t z, t) - (z - e)|^2, which needs no
    density. Samples take `num_steps` midpoint steps of two network passes each, in
    operations that phones have. The density is that of the flow, integrated back in
    `density_steps`. Up to 64 dimensions the divergence is exact, and above that it is
    estimated along 8 fixed random directions.

    Args:
        latent_dim: D, the number of latent dimensions, or the shape of one latent.
        num_steps: of a sample.
        width: units of the velocity's layers for latents that are vectors; channels of
            the largest maps for latents (h, w, c). None takes 256 units, or 64 channels
            for maps of up to 16x16 places and 32 for larger ones.
        num_blocks: residual blocks of the velocity, or of each of its levels. None takes
            3 for vectors and 1 for maps.
        density_steps: midpoint steps of `log_prob`.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if an argument is not a positive integer, or latents have two axes or
            more than three.

    Source: Lipman et al. 2023, arXiv:2210.02747; the divergence: Chen et al. 2018,
        arXiv:1806.07366; its estimate: Grathwohl et al. 2019, arXiv:1810.01367.
    """

    def __init__(
        self,
        latent_dim: Any,
        *,
        num_steps: int = 8,
        width: int | None = None,
        num_blocks: int | None = None,
        density_steps: int = 16,
        **kwargs: Any,
    ) -> None:
        shape = check_latent_shape("FlowMatching", latent_dim)
        if len(shape) not in (1, 3):
            raise ValueError(
                "FlowMatching takes latents that are vectors, D, or maps, (h, w, c); "
                f"received latent_dim={latent_dim!r}."
            )
        network: Any = VelocityNetwork if len(shape) == 1 else VelocityUNet
        usual = (256, 3) if len(shape) == 1 else (_channels(shape), 1)
        width = usual[0] if width is None else width
        num_blocks = usual[1] if num_blocks is None else num_blocks
        check_size("num_blocks", num_blocks, most=MOST_LAYERS)
        super().__init__(latent_dim, num_steps, (width,) * num_blocks, **kwargs)
        check_size("density_steps", density_steps)
        self.latent_shape = shape
        self.width = width
        self.num_blocks = num_blocks
        self.density_steps = density_steps
        # In the precision of the densities, so that the inverse undoes the draw.
        self.velocity = network(
            shape,
            width,
            num_blocks,
            dtype=self.maths_dtype,
            name="velocity",
        )
        self.velocity.build()
        options = {"shape": (self.latent_dim,), "trainable": False}
        self._center = self.add_weight(
            name="center", initializer="zeros", dtype=self.maths_dtype, **options
        )
        self._spread = self.add_weight(
            name="spread", initializer="ones", dtype=self.maths_dtype, **options
        )

    def start_fit(self, z: Tensor) -> None:
        """Centers and scales the flow to latents (N, D)."""
        self._center.assign(tf.reduce_mean(z, axis=0))
        self._spread.assign(tf.maximum(tf.math.reduce_std(z, axis=0), 1e-6))

    def fit_loss(self, z: Tensor, seed: Tensor) -> Tensor:
        """The mean squared error of the velocity for latents (B, D), a scalar."""
        end = (z - self._center) / self._spread
        start = tf.random.stateless_normal(tf.shape(z), seed, dtype=z.dtype)
        other = tf.random.experimental.stateless_fold_in(seed, 1)
        time = tf.random.stateless_uniform(tf.shape(z)[:1], other, dtype=z.dtype)
        place = (1.0 - time[:, None]) * start + time[:, None] * end
        error = self._velocity(place, time) - (end - start)
        return tf.reduce_mean(tf.square(error))

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (..., D) to z (..., D) and log |det dz/du| (...)."""
        end, divergence = self._integrate(u, 0.0, 1.0, self.density_steps, True)
        return self._to_latents(end), divergence + self._log_spread()

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z (..., D) to u (..., D) and log |det du/dz| (...)."""
        end = (z - self._center) / self._spread
        u, divergence = self._integrate(end, 1.0, 0.0, self.density_steps, True)
        return u, divergence - self._log_spread()

    def sample(
        self, params: Params, noise: Tensor, temperature: Tensor | float = 1.0
    ) -> Tensor:
        """Carries temperature * noise along the flow: (..., D)."""
        u = params["loc"] + params["scale"] * (temperature * noise)
        return self._to_latents(self._integrate(u, 0.0, 1.0, self.num_steps, False)[0])

    def _to_latents(self, end: Tensor) -> Tensor:
        return self._center + self._spread * end

    def _log_spread(self) -> Tensor:
        return tf.reduce_sum(tf.math.log(self._spread))

    def _integrate(
        self, start: Tensor, first: float, last: float, steps: int, density: bool
    ) -> tuple[Tensor, Tensor]:
        """Follows the flow in midpoint steps, and sums the divergence on the way."""
        place = tf.reshape(start, (-1, self.latent_dim))
        total = tf.zeros_like(place[:, 0])
        step = (last - first) / steps
        for index in range(steps):
            time = first + index * step
            half = place + 0.5 * step * self._velocity(place, time)
            middle = time + 0.5 * step
            if density:
                speed, divergence = self._divergence(half, middle)
                total += step * divergence
            else:
                speed = self._velocity(half, middle)
            place += step * speed
        end = tf.reshape(place, tf.shape(start))
        return end, tf.reshape(total, tf.shape(start)[:-1])

    def _velocity(self, place: Tensor, time: Tensor | float) -> Tensor:
        """The velocity at flat places (N, D)."""
        shaped = tf.reshape(place, (-1, *self.latent_shape))
        if not tf.is_tensor(time):
            time = tf.fill(tf.shape(place)[:1], tf.constant(time, place.dtype))
        return tf.reshape(self.velocity(shaped, time), (-1, self.latent_dim))

    def _divergence(self, place: Tensor, time: float) -> tuple[Tensor, Tensor]:
        """The velocity (N, D) and the trace of its Jacobian (N,).

        trace = sum_i e_i^T J e_i,  or the mean of r^T J r over random signs r
        """
        probes = self._probes(place.dtype)
        count = probes.shape[0]
        copies = tf.repeat(place, count, axis=0)
        directions = tf.tile(probes, [tf.shape(place)[0], 1])
        with tf.GradientTape() as tape:
            tape.watch(copies)
            speed = self._velocity(copies, time)
            along = tf.reduce_sum(speed * directions)
        # None where tapes are stopped, which is while a graph builds the model.
        slope = tape.gradient(along, copies, unconnected_gradients="zero")
        slopes = tf.reduce_sum(slope * directions, axis=-1)
        traces = tf.reduce_sum(tf.reshape(slopes, (-1, count)), axis=-1)
        exact = self.latent_dim <= _EXACT
        return speed[::count], traces if exact else traces / count

    def _probes(self, dtype: Any) -> Tensor:
        """All unit vectors, (D, D), or fixed vectors of random signs, (8, D)."""
        if self.latent_dim <= _EXACT:
            return tf.eye(self.latent_dim, dtype=dtype)
        draw = tf.random.stateless_uniform((_PROBES, self.latent_dim), [0, 0xF10])
        return tf.cast(tf.where(draw < 0.5, -1.0, 1.0), dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["units"]
        one_axis = len(self.latent_shape) == 1
        return {
            **config,
            "latent_dim": self.latent_dim if one_axis else self.latent_shape,
            "width": self.width,
            "num_blocks": self.num_blocks,
            "density_steps": self.density_steps,
        }
