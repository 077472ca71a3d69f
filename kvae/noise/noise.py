"""The noise of one forward pass, as an argument, so that results can be repeated."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from kvae.core.types import Tensor
from kvae.noise.threefry import counter_normal, threefry2x32


@dataclasses.dataclass(frozen=True)
class Noise:
    """A source of standard normals without state: the same key gives the same numbers.

    In training, the numbers depend only on the key, which changes with every step, and
    come from TensorFlow's fast generator. In evaluation, `first_example` is the position
    of the batch in the data set. Then example i gets the same numbers for any batch
    size, and the same as on a phone (`kvae.noise.counter_normal`).

    Attributes:
        key: (2,) int32, the seed.
        first_example: scalar int32, position of the batch's first example, or None.
        first_sample: index of the first draw of each example, to continue an earlier
            call. It is used only with `first_example`.
    """

    key: Tensor
    first_example: Tensor | None = None
    first_sample: Tensor | int = 0

    def normal(
        self,
        num_samples: int | Tensor,
        batch: Tensor,
        dim: int,
        dtype: str = "float32",
    ) -> Tensor:
        """Draws the base noise of `num_samples` latents for each example.

        Args:
            num_samples: K, an int, or in evaluation a scalar int32 tensor too.
            batch: B, an int or a scalar tensor.
            dim: D, normals per draw (`Posterior.noise_dim`).
            dtype: "float32" or "float64".

        Returns:
            noise: (K, B, D), independent N(0, 1).
        """
        if self.first_example is None:
            shape = tf.stack([num_samples, batch, dim])
            drawn = tf.random.stateless_normal(shape, seed=self.key, dtype=dtype)
            return tf.ensure_shape(drawn, (num_samples, None, dim))
        example = self.first_example + tf.range(batch, dtype=tf.int32)
        return counter_normal(
            self.key, example, num_samples, dim, self.first_sample, dtype
        )

    def fold(self, tag: int) -> Noise:
        """Makes an independent source, for a second need in the same pass.

        Args:
            tag: any int. Different tags give independent numbers.

        Returns:
            noise: a source with another key and the same `first_example`.
        """
        if self.first_example is None:
            key = tf.random.experimental.stateless_fold_in(self.key, tag)
        else:  # an exported pass: builtin operations only
            tag = tf.cast(tag, tf.int32)
            words = threefry2x32((self.key[0], self.key[1]), (tag, tf.constant(-1)))
            key = tf.stack(words)
        return dataclasses.replace(self, key=key)
