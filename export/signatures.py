"""The named, typed functions that an exported model offers."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.endpoint import detect, impossible
from kvae.export.columns import SUFFIX, ColumnInput, column_inputs, encoded
from kvae.masks import visible_part
from kvae.maths.precision import without_float64
from kvae.model import endpoints
from kvae.networks.call import declared_inputs
from kvae.networks.unrolled import unrolled
from kvae.objectives import is_completing

NAMES = ("decode", "generate", "encode", "reconstruct", "score", "complete", "detect")
_MASKED = ("score", "complete")  # only of a completing model
_OF_ROWS = ("encode", "reconstruct", "score", "detect")
MAX_NUM = 4096
"""The most images one `generate` request to a server may ask for."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """One endpoint: a function of named tensors that returns named tensors.

    Attributes:
        name: as in `kvae.model.endpoints`.
        function: takes the inputs by position, in the order of `inputs`.
        inputs: the specification of each input; its name is the signature's.
        batch: the fixed number of examples, or None for any.
    """

    name: str
    function: Callable[..., dict[str, Tensor]]
    inputs: tuple[tf.TensorSpec, ...]
    batch: int | None = None

    @functools.cached_property
    def graph(self) -> Any:
        """The concrete function, traced once for all the files that hold it.

        A `tf.function` would be traced again when it is saved.
        """
        function = tf.function(
            self.function, input_signature=self.inputs, autograph=False
        )
        return function.get_concrete_function()


@dataclasses.dataclass(frozen=True)
class Detection:
    """What the endpoint `detect` decides with.

    Attributes:
        detector: a calibrated `kvae.detection.Detector` of the model.
        alpha: the share of normal examples that may raise a false alarm.
    """

    detector: Any
    alpha: float


class Signatures:
    """The endpoints of one model, in the forms that targets take, each made once.

    Names, dtypes and meaning are the same in every form. Three things differ. The form
    "server" (SavedModel) refuses NaN, infinity, an unseen label and a `num` out of
    range inside the graph, which LiteRT builtins can't. The form "device" (LiteRT)
    takes `num` and `temperature` in shape (1,), because inputs without an axis crash
    LiteRT on 64-bit ARM. The form "keras" is unchecked and takes scalars, to run the
    endpoints in Keras itself. With a fixed batch size there is no `num`: it always
    draws `batch` images.

    Args:
        model: a built `kvae.VAE` in float32.
        detection: what `detect` decides with; None leaves that endpoint out.
    """

    def __init__(self, model: Any, detection: Detection | None = None) -> None:
        self.model = model
        self.detection = detection
        self._made: dict[tuple[str, int | None], dict[str, Signature]] = {}

    @property
    def of_columns(self) -> tuple[str, ...]:
        """The names of endpoints that take each column of a table by name.

        They compute what those without the suffix compute, and are for servers alone:
        LiteRT has no strings.
        """
        if self.model.schema is None:
            return ()
        return tuple(f"{n}{SUFFIX}" for n in _OF_ROWS if n in self.offered)

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of all endpoints.

        `complete` needs a prior given the visible part, and `detect` a detector.
        """
        left_out = set() if is_completing(self.model) else {"complete"}
        left_out |= {"detect"} if self.detection is None else set()
        return tuple(name for name in NAMES if name not in left_out)

    def choose(
        self,
        names: tuple[str, ...] | None = None,
        form: str = "server",
        batch: int | None = None,
    ) -> list[Signature]:
        """Returns endpoints in one form.

        Args:
            names: of the endpoints, in this order; all that are `offered` if None, and
                those `of_columns` except on a device.
            form: "server", "device" or "keras".
            batch: a fixed number of examples, or None for any.

        Returns:
            signatures: one per name.

        Raises:
            ValueError: for an unknown name, or one that the model does not offer.
        """
        every = self.offered + (() if form == "device" else self.of_columns)
        if names is None:
            names = every
        elif not names:
            raise ValueError(
                f"signatures must be from {', '.join(every)}; received none."
            )
        else:
            _check_names(self, tuple(name for name in names if name not in every))
        if (form, batch) not in self._made:
            self._made[form, batch] = {
                name: _signature(self.model, name, form, batch, self.detection)
                for name in every
            }
        return [self._made[form, batch][name] for name in names]


def input_names(model: Any, name: str) -> tuple[str, ...]:
    """Returns the names of the inputs of a model's endpoint."""
    return tuple(spec.name for spec in _specs(model, name, "keras", None))


def _check_names(endpoints: Signatures, names: tuple[str, ...]) -> None:
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise ValueError(
            f"signatures must be from {', '.join(NAMES)}; received {names!r}."
        )
    missing = set(names) - set(endpoints.offered)
    if "detect" in missing:
        raise ValueError("detect needs a detector: pass detector=.")
    if missing:
        raise ValueError(
            "complete needs a model trained with objectives.Completion, such as one "
            "from kvae.presets.completing_vae; this one has "
            f"{type(endpoints.model.objective).__name__}. In Keras, vae.complete works "
            "with any model."
        )


def _signature(
    model: Any, name: str, form: str, batch: int | None, detection: Detection | None
) -> Signature:
    if name.endswith(SUFFIX):
        return _signature_of_columns(model, name, form, detection)
    specs = _specs(model, name, form, batch)
    keys = tuple(spec.name for spec in specs)

    def function(*tensors: Tensor) -> dict[str, Tensor]:
        given = dict(zip(keys, tensors, strict=True))
        if form == "server":
            given = _checked(name, given, model)
        if name == "generate" and batch is not None:
            given["num"] = tf.constant(batch, tf.int32)
        with _for_device(model) if form == "device" else contextlib.nullcontext():
            if name == "detect":
                assert detection is not None
                return _detect(model, given, detection)
            return _call(model, name, given)

    return Signature(name, function, specs, batch)


def _signature_of_columns(
    model: Any, name: str, form: str, detection: Detection | None
) -> Signature:
    """Makes an endpoint that takes the columns of a table, one input each."""
    plain = name.removesuffix(SUFFIX)
    columns = column_inputs(model.schema)
    others = [
        spec
        for spec in _specs(model, plain, form, None)
        if spec.name in ("seed", "condition")
    ]
    specs = (*(each.spec for each in columns), *others)
    keys = tuple(spec.name for spec in specs)

    def function(*tensors: Tensor) -> dict[str, Tensor]:
        given = dict(zip(keys, tensors, strict=True))
        if form == "server":
            given = _checked_columns(name, given, model, columns)
        x, mask, unseen = encoded(columns, given)
        if form == "server":
            fine = tf.reduce_all(tf.math.is_finite(x))
            message = f"{name}: numbers must be finite, or NaN where one is missing"
            checks = [tf.debugging.Assert(fine, [message])]
            if plain != "detect":
                checks.append(_assert_seen(name, columns, unseen))
            with tf.control_dependencies(checks):
                x = tf.identity(x)
        inputs = Inputs(x, given.get("condition"), mask)
        if plain == "score":
            return endpoints.score(model, inputs, given["seed"])
        if plain == "detect":
            assert detection is not None
            found = detect(model, detection.detector, inputs, detection.alpha)
            return impossible(found, unseen, detection.detector, detection.alpha)
        return getattr(endpoints, plain)(model, inputs)

    return Signature(name, function, specs)


def _checked_columns(
    name: str, given: dict[str, Tensor], model: Any, columns: list[ColumnInput]
) -> dict[str, Tensor]:
    """Checks the condition, and that all columns have the same number of rows."""
    if "condition" in given:
        given = {**given, "condition": model.condition.guard(given["condition"])}
    first = columns[0].name
    rows = tf.shape(given[first])[0]
    checks = [
        tf.debugging.Assert(
            tf.shape(given[each.name])[0] == rows,
            [f"{name}: {each.name} must have as many rows as {first}"],
        )
        for each in columns[1:]
    ]
    with tf.control_dependencies(checks):
        return {**given, first: tf.identity(given[first])}


def _assert_seen(name: str, columns: list[ColumnInput], unseen: Tensor) -> Any:
    """Refuses levels that the data of the model didn't have."""
    at = tf.argmax(tf.reduce_any(unseen, axis=0))
    names = [n for each in columns for n in [each.name] * len(each.column.entries())]
    column = tf.gather(tf.constant(names), at)
    message = f"{name}: a level that the data of the model did not have, in column"
    return tf.debugging.Assert(~tf.reduce_any(unseen), [message, column])


@contextlib.contextmanager
def _for_device(model: Any) -> Iterator[None]:
    with without_float64(), unrolled(model):
        yield


def _specs(
    model: Any, name: str, form: str, batch: int | None
) -> tuple[tf.TensorSpec, ...]:
    scalar = (1,) if form == "device" else ()
    x = tf.TensorSpec((batch, *model.data_shape), tf.float32, "x")
    seed = tf.TensorSpec((2,), tf.int32, "seed")
    if name == "decode":
        main = [tf.TensorSpec((batch, *model.latent_shape), tf.float32, "z")]
    elif name == "generate":
        main = [seed, tf.TensorSpec(scalar, tf.float32, "temperature")]
        if batch is None:
            main = [tf.TensorSpec(scalar, tf.int32, "num"), *main]
    else:
        main = [x, seed] if name in ("score", "complete") else [x]
    return (*main, *_optional_specs(model, name, batch))


def _optional_specs(model: Any, name: str, batch: int | None) -> list[tf.TensorSpec]:
    """Condition and mask, if this model has them and this endpoint needs them."""
    specs = []
    mask = tf.TensorSpec((batch, *model.data_shape), tf.float32, "mask")
    if is_completing(model) and name in _MASKED:
        return [mask]  # the visible part, which is the condition, is made from it
    if (condition := model.condition) is not None:
        dtype = tf.int32 if condition.classes else tf.float32
        specs.append(tf.TensorSpec((batch, *condition.shape), dtype, "condition"))
    if name in ("encode", "reconstruct", "score", "detect") and takes_mask(model):
        specs.append(mask)
    return specs


def takes_mask(model: Any) -> bool:
    """Returns whether the encoder takes a mask of the observed entries."""
    return "mask" in (declared_inputs(model.encoder) or ())


def _call(model: Any, name: str, given: dict[str, Tensor]) -> dict[str, Tensor]:
    condition = given.get("condition")
    if name == "decode":
        return endpoints.decode(model, given["z"], condition)
    if name == "generate":
        num = tf.reshape(given["num"], ())
        temperature = tf.reshape(given["temperature"], ())
        return endpoints.generate(model, num, given["seed"], temperature, condition)
    x = given["x"]
    if name == "complete":
        return endpoints.complete(model, Inputs(x, None, given["mask"]), given["seed"])
    inputs = Inputs(x, condition, given.get("mask"))
    if name == "score":
        if is_completing(model):
            mask = given["mask"]
            inputs = Inputs(x, visible_part(x, mask), 1.0 - mask)
        return endpoints.score(model, inputs, given["seed"])
    return getattr(endpoints, name)(model, inputs)


def _detect(
    model: Any, given: dict[str, Tensor], detection: Detection
) -> dict[str, Tensor]:
    inputs = Inputs(given["x"], given.get("condition"), given.get("mask"))
    return detect(model, detection.detector, inputs, detection.alpha)


def _checked(name: str, given: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    """Adds the checks that a server runs on each request."""
    if "condition" in given:
        given["condition"] = model.condition.guard(given["condition"])
    if "mask" in given:
        given["mask"] = _checked_mask(name, given["x"], given["mask"])
    # Missing entries may hold anything, unless they are scored given the rest.
    whole = name == "score" and is_completing(model)
    for key, value in given.items():
        masked = key == "x" and "mask" in given and not whole
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


def _checked_mask(name: str, x: Tensor, mask: Tensor) -> Tensor:
    visible = tf.cast(mask, tf.bool)
    finite = tf.math.is_finite(tf.where(visible, x, tf.zeros_like(x)))
    checks = {
        "mask must have a row for each of x": tf.shape(x)[0] == tf.shape(mask)[0],
        "mask must hold only 0 and 1": tf.reduce_all((mask == 0) | (mask == 1)),
        "x must be finite where mask is 1": tf.reduce_all(finite),
    }
    if name == "complete":
        seen = tf.reduce_any(visible, axis=list(range(1, len(mask.shape))))
        checks["mask leaves an example without a visible entry"] = tf.reduce_all(seen)
    guards = [
        tf.debugging.Assert(right, [f"{name}: {message}"])
        for message, right in checks.items()
    ]
    with tf.control_dependencies(guards):
        return tf.identity(mask)
