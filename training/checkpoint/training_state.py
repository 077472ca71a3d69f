"""Everything in memory that decides how training continues."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kvae.core.errors import UserError


def state_variables(model: Any) -> tuple[list[Any], list[Any]]:
    """Lists the variables that training changes.

    A .keras file doesn't hold metrics or the states of Keras' `SeedGenerator`s (those
    of Dropout, for example), and `tf.train.Checkpoint` doesn't save `SeedGenerator`s
    either. So the variables are taken one by one, in the order in which the model lists
    them.

    Args:
        model: compiled and built.

    Returns:
        state: weights, counters, states of seed generators and of the optimizers, the
            model's and the objective's own (learning rate, moments, averages of weights,
            loss scale).
        metrics: the sums behind the numbers of the current epoch.
    """
    if not model.optimizer.built:
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)
    metrics = [v for metric in model.metrics for v in metric.variables]
    held = {id(v) for v in metrics}
    optimizers = [model.optimizer, *(o for o, _ in model.objective.own_optimizers())]
    state = [*model.variables, *(v for o in optimizers for v in o.variables)]
    unique = {id(v): v for v in state if id(v) not in held}
    return list(unique.values()), metrics


def read(variables: Sequence[Any]) -> list[np.ndarray]:
    """Copies the values of variables."""
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def write(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    """Restores the values of variables.

    Raises:
        UserError: if they belong to other variables, because the model is another.
    """
    found = [tuple(array.shape) for array in arrays]
    wanted = [tuple(v.shape) for v in variables]
    if found != wanted:
        pairs = zip(found, wanted, strict=False)
        differs = next(((f, w) for f, w in pairs if f != w), None)
        raise UserError(
            "the checkpoint is of another model, optimizer or precision: it holds "
            f"{len(found)} variables and the model has {len(wanted)}"
            + (f"; one has shape {differs[1]}, there {differs[0]}" if differs else "")
            + ". Build and compile the model as it was, or choose another folder."
        )
    for variable, array in zip(variables, arrays, strict=True):
        if array.dtype.kind == "V":  # NumPy knows bfloat16 by its size alone
            array = array.view(keras.ops.convert_to_numpy(variable).dtype)
        variable.assign(array)


def bad_variables(model: Any) -> list[str]:
    """Names the variables that hold NaN or infinity, input side first."""
    return [
        variable.path
        for variable in model.weights
        if not bool(keras.ops.all(keras.ops.isfinite(variable)))
    ]


def random_states() -> dict[str, Any]:
    """The global generators of Python and NumPy, for JSON: augmentations may use them."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    return {
        "python": [version, list(internal), gauss],
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Restores them."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))
