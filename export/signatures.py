"""The named, typed functions that an exported model offers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kvae import endpoints
from kvae.inputs import Inputs
from kvae.networks import declared_inputs
from kvae.types import Tensor

NAMES = ("decode", "generate", "encode", "reconstruct", "score")
MAX_NUM = 4096
"""The most images one `generate` request to a server may ask for."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """One endpoint: a function of named tensors that returns named tensors.

    Attributes:
        name: as in `kvae.endpoints`.
        function: takes the inputs by position, in the order of `inputs`.
        inputs: the specification of each input; its name is the signature's.
    """

    name: str
    function: Callable[..., dict[str, Tensor]]
    inputs: tuple[tf.TensorSpec, ...]


def signatures(
    model: Any,
    names: tuple[str, ...] = NAMES,
    target: str = "server",
    batch: int | None = None,
) -> list[Signature]:
    """Describes the endpoints of a model for one target.

    Names, dtypes and meaning are the same everywhere. Three things differ. A server
    refuses NaN, infinity, an unseen label and a `num` out of range inside the graph,
    which LiteRT builtins cannot. A device file takes `num` and `temperature` in shape
    (1,), because LiteRT on 64-bit ARM does not survive inputs without an axis. A file of
    fixed batch size has no `num`: it always draws `batch` images.

    Args:
        model: a built `kvae.VAE` in float32.
        names: which endpoints, in this order.
        target: "server" (SavedModel), "device" (LiteRT), or "keras": unchecked, with
            scalars, for running the endpoints in Keras itself.
        batch: a fixed number of examples, or None for any.

    Returns:
        signatures: one per name.

    Raises:
        ValueError: for an unknown name.
    """
    unknown = sorted(set(names) - set(NAMES))
    if unknown or not names:
        raise ValueError(
            f"signatures are chosen from {', '.join(NAMES)}; received {names!r}."
        )
    return [_signature(model, name, target, batch) for name in names]


def _signature(model: Any, name: str, target: str, batch: int | None) -> Signature:
    specs = _specs(model, name, target, batch)
    keys = tuple(spec.name for spec in specs)

    def function(*tensors: Tensor) -> dict[str, Tensor]:
        given = dict(zip(keys, tensors, strict=True))
        if target == "server":
            given = _checked(name, given, model.condition)
        if name == "generate" and batch is not None:
            given["num"] = tf.constant(batch, tf.int32)
        return _call(model, name, given)

    return Signature(name, function, specs)


def _specs(
    model: Any, name: str, target: str, batch: int | None
) -> tuple[tf.TensorSpec, ...]:
    scalar = (1,) if target == "device" else ()
    x = tf.TensorSpec((batch, *model.data_shape), tf.float32, "x")
    seed = tf.TensorSpec((2,), tf.int32, "seed")
    if name == "decode":
        main = [tf.TensorSpec((batch, model.latent_dim), tf.float32, "z")]
    elif name == "generate":
        main = [seed, tf.TensorSpec(scalar, tf.float32, "temperature")]
        if batch is None:
            main = [tf.TensorSpec(scalar, tf.int32, "num"), *main]
    else:
        main = [x, seed] if name == "score" else [x]
    return (*main, *_optional_specs(model, name, batch))


def _optional_specs(model: Any, name: str, batch: int | None) -> list[tf.TensorSpec]:
    """Condition and mask, where this model has them and this endpoint needs them."""
    specs = []
    if (condition := model.condition) is not None:
        dtype = tf.int32 if condition.classes else tf.float32
        specs.append(tf.TensorSpec((batch, *condition.shape), dtype, "condition"))
    if name in ("encode", "reconstruct", "score") and takes_mask(model):
        specs.append(tf.TensorSpec((batch, *model.data_shape), tf.float32, "mask"))
    return specs


def takes_mask(model: Any) -> bool:
    """Whether the encoder was made to be told which entries are observed."""
    return "mask" in (declared_inputs(model.encoder) or ())


def _call(model: Any, name: str, given: dict[str, Tensor]) -> dict[str, Tensor]:
    condition = given.get("condition")
    if name == "decode":
        return endpoints.decode(model, given["z"], condition)
    if name == "generate":
        num = tf.reshape(given["num"], ())
        temperature = tf.reshape(given["temperature"], ())
        return endpoints.generate(model, num, given["seed"], temperature, condition)
    inputs = Inputs(given["x"], condition, given.get("mask"))
    if name == "score":
        return endpoints.score(model, inputs, given["seed"])
    return getattr(endpoints, name)(model, inputs)


def _checked(name: str, given: dict[str, Tensor], condition: Any) -> dict[str, Tensor]:
    """Adds the checks that a server runs on each request."""
    if condition is not None:
        given["condition"] = condition.guard(given["condition"])
    for key, value in given.items():
        masked = key == "x" and "mask" in given  # missing entries may hold anything
        if value.dtype.is_floating and not masked:
            message = f"{name}: {key} must be finite"
            given[key] = tf.debugging.assert_all_finite(value, message)
    if "num" in given:
        num = tf.reshape(given["num"], ())
        allowed = tf.debugging.Assert(
            (num >= 1) & (num <= MAX_NUM),
            [f"{name}: num must be from 1 to {MAX_NUM}; received", num],
        )
        checks = [allowed]
        if "condition" in given:
            rows = tf.shape(given["condition"])[0]
            message = f"{name}: condition must have num rows; received rows, num ="
            checks.append(tf.debugging.Assert(rows == num, [message, rows, num]))
        with tf.control_dependencies(checks):
            given["num"] = tf.identity(num)
    return given
