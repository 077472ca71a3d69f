"""A counter-based generator whose numbers have the same bits on every target.

TensorFlow's own generators can't be converted to LiteRT built-in operations, and a
Box-Muller transform rounds differently in each runtime. Here every step is integer
arithmetic (add, multiply, xor, shift, table look-up), except the last one: an integer
times a power of two, which is exact in floating point. So a seed gives the same latents
in Keras, in a SavedModel, and on a phone.
"""

from __future__ import annotations

import functools
import statistics

import numpy as np
import tensorflow as tf

from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Tensor

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA  # the constant of Salmon et al. 2011 for 32-bit Threefry
_TABLE_BITS = 12
_FIXED_POINT_BITS = 20  # a sum of two entries stays below 2**24, exact in float32


def _rotate_left(x: Tensor, bits: int) -> Tensor:
    # LiteRT has no unsigned multiply and no left shift: the high part is a wrapping
    # int32 product, the low part a logical right shift of the same bits.
    factor = np.array(1 << bits, np.uint32).astype(np.int32)
    low = tf.bitwise.right_shift(
        tf.bitcast(x, tf.uint32), tf.constant(32 - bits, tf.uint32)
    )
    return x * factor + tf.bitcast(low, tf.int32)


@tensor_arguments
def threefry2x32(
    key: tuple[Tensor, Tensor], counter: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Scrambles a two-word counter with a two-word key: Threefry-2x32, 20 rounds.

    Args:
        key: two int32 tensors that broadcast against the counter.
        counter: two int32 tensors of one shape. Every (key, counter) pair gives two
            independent 32-bit words.

    Returns:
        words: two int32 tensors of the broadcast shape; all 2**32 patterns occur.

    Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as
    1, 2, 3", section 3.3; the test holds its published known-answer vectors.
    """
    given = [tf.convert_to_tensor(x, tf.int32) for x in (*key, *counter)]
    shape = functools.reduce(tf.broadcast_static_shape, [x.shape for x in given])
    words = _rounds(*given)
    for word in words:
        word.set_shape(shape)
    return words[0], words[1]


# A function of its own is traced once in a process, not in every graph that draws noise.
@tf.function(
    input_signature=[tf.TensorSpec(None, tf.int32)] * 4,
    autograph=False,
)
def _rounds(
    key0: Tensor, key1: Tensor, counter0: Tensor, counter1: Tensor
) -> tuple[Tensor, Tensor]:
    parity = np.array(_PARITY, np.uint32).astype(np.int32)
    keys = (
        key0,
        key1,
        tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(key0, key1), parity),
    )
    x0, x1 = counter0 + keys[0], counter1 + keys[1]
    for group in range(5):
        for bits in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = tf.bitwise.bitwise_xor(_rotate_left(x1, bits), x0)
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + keys[(group + 2) % 3] + (group + 1)
    return x0, x1


@functools.cache
def _quantiles() -> np.ndarray:
    """Computes the means of 4096 equally probable slices of N(0, 1/2), in fixed point.

    The sum of two of them has variance 1 without any factor except a power of two. A
    factor such as sqrt(1/2) would be rounded in files that store constants in half
    precision.
    """
    slices = 1 << _TABLE_BITS
    normal = statistics.NormalDist()
    inner = np.array([normal.inv_cdf(i / slices) for i in range(1, slices)])
    density = np.exp(-0.5 * np.square(inner)) / np.sqrt(2.0 * np.pi)
    density = np.concatenate([[0.0], density, [0.0]])
    means = (density[:-1] - density[1:]) * slices
    means = 0.5 * (means - means[::-1])  # exactly symmetric: the mean is exactly 0
    scale = np.sqrt(0.5) * (1 << _FIXED_POINT_BITS)
    return np.rint(means / means.std() * scale).astype(np.int32)


@tensor_arguments
def counter_normal(
    key: Tensor,
    example: Tensor,
    num_samples: int | Tensor,
    dim: int,
    first_sample: Tensor | int = 0,
    dtype: str = "float32",
) -> Tensor:
    """Draws standard normals that depend only on (key, example, sample, dimension).

    Each number is the scaled sum of two table quantiles, chosen by 24 bits of one
    Threefry word:

        normal = (quantile[a] + quantile[b]) / sqrt(2),  a, b uniform on 0 .. 4095

    The distribution has mean 0, variance 1, and 16 million levels, and ends at 5.3
    standard deviations. Its excess kurtosis is -0.0013. Batch and chunk size don't change
    any number, so estimates that use it don't depend on them either.

    Args:
        key: (2,) int32, the seed.
        example: (B,) int32, the position of each example in the whole data set.
        num_samples: K, the number of draws per example; an int, or a scalar int32 tensor.
        dim: D, how many normals a draw needs.
        first_sample: index of the first draw, to continue an earlier call.
        dtype: "float32" or "float64".

    Returns:
        noise: (K, B, D).
    """
    blocks = (dim + 1) // 2  # a Threefry block is two words, so two normals
    sample = tf.range(num_samples, dtype=tf.int32) + first_sample
    position = sample[:, None, None] * blocks + tf.range(blocks, dtype=tf.int32)
    counter = (example[None, :, None] + tf.zeros_like(position), position)
    counter = (counter[0], counter[1] + tf.zeros_like(counter[0]))  # (K, B, D/2)
    words = threefry2x32((key[0], key[1]), counter)
    bits = tf.reshape(tf.stack(words, axis=-1), (-1, tf.shape(example)[0], 2 * blocks))

    table = tf.constant(_quantiles())
    drop = tf.constant(32 - _TABLE_BITS, tf.uint32)

    def top_bits(x: Tensor) -> Tensor:
        return tf.bitcast(
            tf.bitwise.right_shift(tf.bitcast(x, tf.uint32), drop), tf.int32
        )

    total = tf.gather(table, top_bits(bits)) + tf.gather(
        table, top_bits(bits * (1 << _TABLE_BITS))
    )
    unit = tf.constant(0.5**_FIXED_POINT_BITS, dtype)
    return (tf.cast(total, dtype) * unit)[..., :dim]
