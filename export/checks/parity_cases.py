"""Recorded inputs, and what Keras computes for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.detection.endpoint import detect
from kvae.export.columns import SUFFIX, column_inputs
from kvae.export.signatures import Signatures, input_names
from kvae.model import endpoints
from kvae.objectives import is_completing
from kvae.tables.schema import as_frame, is_frame

ROWS = 16
_SEED = 2024


def record(
    endpoints: Signatures, x: Any = None, rows: int = ROWS
) -> dict[str, np.ndarray]:
    """Runs every endpoint in Keras, op by op, on real and on random input.

    Real inputs are the first examples of `x` and the means of their posteriors. Random
    inputs are latents from the prior, and examples drawn from the model at these
    latents, so that they are in the likelihood's support. The reference does not pass
    through a graph, so errors of tracing or graph rewriting can't affect both sides of
    the comparison. It runs on the CPU, because GPUs round matrix products to fewer
    digits.

    Args:
        endpoints: of a built `kvae.VAE` in float32.
        x: (N, *data_shape) real examples, or a dict of x, condition and mask, or None.
        rows: number of examples, the largest batch that a file takes.

    Returns:
        cases: arrays by "data/signature/in or out/name".
    """
    model = endpoints.model
    with tf.device("CPU:0"):
        sources = {"random": random_inputs(model, rows, _SEED)}
        if x is not None:
            sources = {"real": real_inputs(model, x, rows)} | sources
        cases: dict[str, np.ndarray] = {}
        for data, inputs in sources.items():
            for endpoint in endpoints.choose(endpoints.offered, form="keras"):
                if data == "real" and endpoint.name == "generate":
                    continue  # its input is a seed, which can't be real data
                given = {spec.name: inputs[spec.name] for spec in endpoint.inputs}
                outputs = endpoint.function(*map(tf.constant, given.values()))
                prefix = f"{data}/{endpoint.name}"
                cases |= {f"{prefix}/in/{k}": v for k, v in given.items()}
                cases |= {f"{prefix}/out/{k}": v.numpy() for k, v in outputs.items()}
            for name in endpoints.of_columns:
                frame = _rows_of_table(model.schema, x, data, inputs)
                cases |= _by_columns(endpoints, f"{data}/{name}", frame, inputs)
    return cases


def _rows_of_table(
    schema: Any, x: Any, data: str, inputs: dict[str, np.ndarray]
) -> Any:
    """Returns rows as a client has them: those given, or decoded; some with holes."""
    given = x.get("x") if isinstance(x, dict) else x
    count = len(inputs["x"])
    if data == "real" and is_frame(given):
        frame = as_frame(given)
        return frame.iloc[np.resize(np.arange(len(frame)), count)]
    frame = schema.decode(inputs["x"])
    if data == "real":
        return frame
    return frame.mask(np.random.default_rng(_SEED).random(frame.shape) < 0.1)


def _by_columns(
    signatures: Signatures, prefix: str, frame: Any, inputs: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Runs an endpoint of columns in Keras, on rows that the schema has encoded.

    So the encoding in the graph is compared with that of pandas and NumPy.
    """
    model, plain = signatures.model, prefix.split("/")[1].removesuffix(SUFFIX)
    numbers = model.schema.encode(frame)
    known = ~np.isnan(numbers)
    given = {c.name: c.values(frame) for c in column_inputs(model.schema)}
    condition = None
    if model.condition is not None:
        given["condition"] = inputs["condition"]
        condition = tf.constant(inputs["condition"])
    rows = Inputs(
        tf.constant(np.where(known, numbers, np.float32(0))),
        condition,
        tf.constant(known.astype("float32")),
    )
    if plain == "score":
        given["seed"] = inputs["seed"]
        outputs = endpoints.score(model, rows, tf.constant(inputs["seed"]))
    elif plain == "detect":
        assert signatures.detection is not None
        detection = signatures.detection
        outputs = detect(model, detection.detector, rows, detection.alpha)
    else:
        outputs = getattr(endpoints, plain)(model, rows)
    return {f"{prefix}/in/{k}": v for k, v in given.items()} | {
        f"{prefix}/out/{k}": v.numpy() for k, v in outputs.items()
    }


def real_inputs(model: Any, x: Any, count: int) -> dict[str, np.ndarray]:
    """Prepares the first real examples, repeated if there are fewer than `count`."""
    inputs = model.complete_inputs(x)
    arrays = {
        key: np.resize(value[:count], (count, *value.shape[1:])).astype(
            value.dtype
            if value.dtype.kind in "iu" and key == "condition"
            else "float32"
        )
        for key, value in inputs.to_dict().items()
    }
    if "mask" in arrays:  # a file takes no NaN where an entry is missing
        neutral = np.asarray(model.likelihood.neutral, "float32")
        arrays["x"] = np.where(arrays["mask"] == 1, arrays["x"], neutral)
    if is_completing(model):  # its mask, next to the data, says what is hidden
        visible = np.split(arrays["condition"], 2, axis=-1)[1]
        arrays["mask"] = visible.reshape(arrays["x"].shape)
    arrays.setdefault("mask", np.ones_like(arrays["x"]))
    params = endpoints.encode(model, Inputs(**_used(model, arrays)))
    return {
        **arrays,
        "z": model.posterior.mean(params).numpy(),
        "seed": np.array([_SEED, 1], np.int32),
    }


def random_inputs(model: Any, count: int, seed: int) -> dict[str, np.ndarray]:
    """Draws latents, and examples from p(x|z) at these latents."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    if (expected := model.condition) is not None:
        if expected.classes:
            arrays["condition"] = rng.choice(expected.classes, count).astype("int32")
        else:
            uniform = rng.uniform(size=(count, *expected.shape))
            arrays["condition"] = uniform.astype("float32")
    condition = None
    if "condition" in arrays:
        condition = tf.constant(arrays["condition"])
    key = tf.constant([seed, 2], tf.int32)
    z = endpoints.latents(model, count, key, 1.0, condition)
    params = model.likelihood_params(z, condition)
    x = model.likelihood.distribution(params).sample(seed=[seed, 3])
    shape = (count, *model.data_shape)
    return {
        **arrays,
        "z": endpoints.shaped(model, z).numpy(),
        "x": np.asarray(x).astype("float32").reshape(shape),
        "mask": rng.integers(0, 2, shape).astype("float32"),
        "num": np.int32(count),
        "seed": np.array([seed, 4], np.int32),
        "temperature": np.float32(0.7),
    }


def _used(model: Any, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    names = input_names(model, "encode")
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(
            f"this model takes {', '.join(names)}; the examples for the parity check "
            f'have no {missing[0]}. Pass a dict: {{"x": ..., "{missing[0]}": ...}}.'
        )
    return {name: tf.constant(arrays[name]) for name in names}
