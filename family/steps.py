"""Steps of gradient descent, many of them in one graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.types import Tensor

_AT_ONCE = 100  # steps of one call of the graph

Step = Callable[[Tensor, Tensor], Tensor]


def descent(
    loss: Step,
    variables: list[Any],
    learning_rate: Any,
    num_steps: int = 0,
    **adam: Any,
) -> Step:
    """Makes a step of Adam out of a loss.

    Args:
        loss: of a batch and its labels, a scalar.
        variables: what is trained.
        learning_rate: at the start; it falls to 0 along a cosine over `num_steps`. Or
            a schedule, with `num_steps=0`.
        num_steps: how many steps there will be; 0 keeps the learning rate.
        **adam: further arguments of `keras.optimizers.Adam`.

    Returns:
        step: changes the variables, and returns the loss.
    """
    rate = learning_rate
    if num_steps:
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, num_steps)
    optimizer = keras.optimizers.Adam(rate, **adam)
    optimizer.build(variables)

    def step(x: Tensor, y: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            value = loss(x, y)
        optimizer.apply(tape.gradient(value, variables), variables)
        return value

    return step


class LateDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that stays, and falls to 0 along a line in the last third.

    Args:
        learning_rate: at the start.
        num_steps: of training.
    """

    def __init__(self, learning_rate: float, num_steps: int) -> None:
        self.learning_rate = learning_rate
        self.num_steps = num_steps

    def __call__(self, step: Tensor) -> Tensor:
        """The learning rate of a step, counted from 0."""
        left = 1.0 - keras.ops.cast(step, "float32") / max(self.num_steps, 1)
        return self.learning_rate * keras.ops.minimum(1.0, 3.0 * left)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"learning_rate": self.learning_rate, "num_steps": self.num_steps}


def run_steps(
    step: Step, x: Any, y: Any = None, *, num_steps: int, batch_size: int, seed: int
) -> np.ndarray:
    """Runs steps on random batches, drawn without replacement in each pass.

    Args:
        step: of a batch (B, ...) and its labels (B,); returns a scalar.
        x: (N, ...) float32.
        y: (N,) integers; zeros if None.
        num_steps: how many.
        batch_size: B, at most N.
        seed: of the batches.

    Returns:
        losses: (num_steps,).
    """
    count = len(x)
    size = min(batch_size, count)
    data = tf.constant(x)
    labels = tf.constant(
        np.zeros(count, "int32") if y is None else np.asarray(y, "int32")
    )
    rng = np.random.default_rng(seed)

    @tf.function(reduce_retracing=True, autograph=False)
    def steps(rows: Tensor) -> Tensor:
        def one(_: Tensor, chosen: Tensor) -> Tensor:
            return step(tf.gather(data, chosen), tf.gather(labels, chosen))

        return tf.scan(one, rows, tf.constant(0.0), parallel_iterations=1)

    losses = []
    waiting = np.zeros(0, "int64")
    for start in range(0, num_steps, _AT_ONCE):
        now = min(_AT_ONCE, num_steps - start)
        while len(waiting) < now * size:
            whole = count - count % size
            waiting = np.concatenate([waiting, rng.permutation(count)[:whole]])
        losses.append(
            steps(tf.constant(waiting[: now * size].reshape(now, size))).numpy()
        )
        waiting = waiting[now * size :]
    return np.concatenate(losses)


def minimize(
    member: Any, loss: Step, variables: list[Any], x: Any, schedule: Any = None
) -> None:
    """Trains variables by a loss, as long and as fast as a member of the family says.

    Args:
        member: with `learning_rate`, `num_steps`, `batch_size`, and `seed`.
        loss: as of `descent`.
        variables: what is trained.
        x: as of `run_steps`.
        schedule: of the learning rate; None takes a cosine.
    """
    steps, size = member.num_steps, member.batch_size
    if schedule is None:
        step = descent(loss, variables, member.learning_rate, steps)
    else:
        step = descent(loss, variables, schedule)
    run_steps(step, x, num_steps=steps, batch_size=size, seed=member.seed)


def mlp(sizes: tuple[int, ...], seed: int, activation: str = "relu") -> keras.Model:
    """Makes dense layers whose last one is linear.

    Args:
        sizes: of the input, of each hidden layer, and of the output.
        seed: of the weights.
        activation: of the hidden layers.
    """
    last = len(sizes) - 2
    return keras.Sequential(
        [
            keras.Input((sizes[0],)),
            *(
                keras.layers.Dense(
                    size,
                    None if i == last else activation,
                    kernel_initializer=keras.initializers.GlorotUniform(seed + i),
                )
                for i, size in enumerate(sizes[1:])
            ),
        ]
    )


def cross_entropy(x: Tensor, logits: Tensor) -> Tensor:
    """-log of the Bernoulli probability of pixels, summed over them, (B,) nats."""
    return keras.ops.sum(
        keras.ops.softplus(logits) - keras.ops.multiply(x, logits), axis=-1
    )
