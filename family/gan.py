"""The generative adversarial network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.types import Tensor
from kvae.family.base import Member
from kvae.family.graph import Graph
from kvae.family.steps import Step, descent, run_steps


class GAN(Member):
    """A generator of pictures, and a critic that tells them from data.

        critic:    minimize -log D(x) - log(1 - D(G(z)))
        generator: minimize -log D(G(z))      (non-saturating)
        D = sigmoid of the critic, z ~ Normal(0, 1)

    Both are convolutional, in the way of DCGAN.

    Args:
        code_size: dimensions of z.
        width: channels of the widest layer.
        num_steps: of training, of both networks.
        batch_size: pictures per step.
        learning_rate: of Adam.
        seed: of weights, batches, and z.

    Source: Goodfellow et al. 2014, arXiv:1406.2661, section 3; Radford et al. 2016,
        arXiv:1511.06434, section 3 (networks, Adam with beta_1 = 0.5).
    """

    title = "GAN"
    models = "pictures that a critic can't tell from data"
    cost = "critic: -log D(x) - log(1 - D(G(z))); generator: -log D(G(z))"
    source = "Goodfellow et al. 2014"
    missing = {
        "encode": "it has no encoder",
        "reconstruct": "it has no encoder",
        "log_likelihood": "the generator has no density",
    }

    def __init__(
        self,
        code_size: int = 16,
        width: int = 64,
        num_steps: int = 4000,
        batch_size: int = 64,
        learning_rate: float = 5e-4,
        seed: int = 0,
    ) -> None:
        super().__init__(num_steps, seed)
        self.code_size = code_size
        self.width = width
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def build(self, x: Any) -> np.ndarray:
        """Makes both networks for pictures, and returns them as (N, H, W, C)."""
        flat = self._start(x)
        height, width, channels = (*self.data_shape, 1)[:3]
        if height % 4 or width % 4:
            raise ValueError(
                "GAN takes pictures whose height and width are multiples of 4; received "
                f"{self.data_shape}."
            )
        layers = keras.layers

        def seeded(i: int) -> dict[str, Any]:
            init = keras.initializers.RandomNormal(0.0, 0.05, self.seed + i)
            return {"kernel_initializer": init}

        few, small = self.width // 2, (height // 4, width // 4, self.width)
        self.generator = keras.Sequential(
            [
                keras.Input((self.code_size,)),
                layers.Dense(int(np.prod(small)), use_bias=False, **seeded(0)),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.Reshape(small),
                layers.Conv2DTranspose(few, 4, 2, "same", use_bias=False, **seeded(1)),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.Conv2DTranspose(channels, 4, 2, "same", **seeded(2)),
                layers.Activation("sigmoid"),
            ]
        )
        self.critic = keras.Sequential(
            [
                keras.Input((height, width, channels)),
                layers.Conv2D(few, 4, 2, "same", use_bias=False, **seeded(3)),
                layers.LeakyReLU(0.2),
                layers.Conv2D(self.width, 4, 2, "same", use_bias=False, **seeded(4)),
                layers.LeakyReLU(0.2),
                layers.Flatten(),
                layers.Dense(1, **seeded(5)),
            ]
        )
        return flat.reshape(-1, height, width, channels)

    def fit(self, x: Any, y: Any = None) -> GAN:
        """Trains critic and generator in turn; y is not used."""
        pictures = self.build(x)
        critic_step, generator_step = self.make_steps()

        def both(batch: Tensor, labels: Tensor) -> Tensor:
            critic_step(batch, labels)
            return generator_step(batch, labels)

        run_steps(
            both,
            pictures,
            num_steps=self.num_steps,
            batch_size=self.batch_size,
            seed=self.seed,
        )
        return self

    def make_steps(self) -> tuple[Step, Step]:
        """Makes the step of each network; each changes its own weights alone."""
        random = keras.random.SeedGenerator(self.seed)

        def fake(batch: Tensor) -> Tensor:
            z = keras.random.normal(
                (keras.ops.shape(batch)[0], self.code_size), seed=random
            )
            return self.generator(z, training=True)

        def critic_loss(batch: Tensor, _: Tensor) -> Tensor:
            drawn = tf.stop_gradient(fake(batch))
            return critic_cost(self.critic(batch), self.critic(drawn))

        def generator_loss(batch: Tensor, _: Tensor) -> Tensor:
            return generator_cost(self.critic(fake(batch)))

        def step(loss: Step, network: Any) -> Step:
            variables = network.trainable_variables
            return descent(loss, variables, self.learning_rate, beta_1=0.5)

        return step(critic_loss, self.critic), step(generator_loss, self.generator)

    def sample(self, num: int, seed: int = 0) -> np.ndarray:
        """Shows the generator's pictures of z drawn from the prior."""
        self._check_trained()
        z = np.random.default_rng(seed).normal(size=(num, self.code_size))
        return self._pictures(self.generator.predict(z.astype("float32"), verbose=0))

    @property
    def weights(self) -> list[Any]:
        """Of both networks."""
        return [*self.generator.trainable_variables, *self.critic.trainable_variables]

    def training_graph(self) -> Graph:
        """Of one step."""
        return Graph(
            "(z) -> generator -> [fake] -> critic -> {critic cost}",
            "critic -> {generator cost}",
            "[x] -> critic",
        )

    def use_graph(self) -> Graph:
        """Of a sample."""
        return Graph("(z) -> generator -> [picture]")


def critic_cost(real: Tensor, fake: Tensor) -> Tensor:
    """-log D - log(1 - D(fake)), averaged, of logits (B, 1) of data and of fakes."""
    return keras.ops.mean(keras.ops.softplus(-real)) + keras.ops.mean(
        keras.ops.softplus(fake)
    )


def generator_cost(fake: Tensor) -> Tensor:
    """-log D(fake), averaged, of logits (B, 1)."""
    return keras.ops.mean(keras.ops.softplus(-fake))
