"""Converts endpoints to a .tflite file of LiteRT built-in operations, and tries it."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.quiet import quiet
from kvae.export.checks.parity_cases import random_inputs, real_inputs
from kvae.export.checks.refusals import explain
from kvae.export.checks.verification import BATCHES, litert_runner
from kvae.export.errors import ExportRefused
from kvae.export.signatures import Signature, Signatures
from kvae.export.targets.saved_model import write_archive

PRECISIONS = ("float32", "float16", "int8_dynamic", "int8")
_FLOAT_IN_INT8 = (
    *("ABS", "ADD", "DIV", "EXP", "GELU", "LOG", "MAXIMUM", "MINIMUM", "NEG"),
    *("BATCH_MATMUL", "RSQRT", "SOFTMAX", "SQRT", "SQUARE", "SQUARED_DIFFERENCE"),
)
"""Operations that stay float32 in an "int8" file. XNNPACK doesn't have them in integers,
or not with a small constant, and the posterior's scale would lose digits. On the digits
networks this is as fast, and the scale is five times closer to that of Keras."""
_CALIBRATION = 128  # examples; more did not change the digits model


def convert(
    endpoints: Signatures,
    names: tuple[str, ...],
    precision: str,
    batch: int | None = None,
    x: Any = None,
) -> bytes:
    """Converts endpoints of a model.

    Args:
        endpoints: of a `kvae.VAE` in float32.
        names: of the endpoints to convert; they share weights.
        precision: as for `litert`.
        batch: a fixed number of examples per call, or None for any.
        x: real examples that calibrate "int8", or None.

    Returns:
        content: of the .tflite file.

    Raises:
        ValueError: if there is no such precision.
        ExportRefused: with part, operation and alternatives, if the model does not convert.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision must be one of {', '.join(PRECISIONS)}; received {precision!r}."
        )
    chosen = endpoints.choose(names, "device", batch)
    with archive(chosen) as folder:
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(names)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            if precision == "int8":
                return _in_integers(converter, _calibration(endpoints.model, chosen, x))
            return bytes(converter.convert())
        except Exception as error:  # the converter raises many kinds, one per stage
            raise ExportRefused(explain(endpoints.model, names, str(error))) from error


@contextlib.contextmanager
def archive(endpoints: list[Signature]) -> Iterator[str]:
    """Writes a SavedModel of some endpoints to a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="kvae-export-") as folder:
        write_archive(endpoints, Path(folder), gradients=False)
        with quiet("absl"):  # which warns of each function without gradients
            yield folder


def _in_integers(
    converter: Any, examples: Callable[[], Iterator[tuple[str, dict[str, np.ndarray]]]]
) -> bytes:
    """Converts to integers, except operations that XNNPACK only has in float."""
    converter.representative_dataset = examples
    options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_ops=list(_FLOAT_IN_INT8)
    )
    with warnings.catch_warnings():
        # The converter calibrates with the interpreter that it warns about.
        warnings.filterwarnings(
            "ignore", r"\s*Warning: tf.lite.Interpreter is deprecated"
        )
        # The only public way to choose the operations; nothing is debugged here.
        quantizer = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=examples, debug_options=options
        )
    return bytes(quantizer.get_nondebug_quantized_model())


def _calibration(
    model: Any, endpoints: list[Signature], x: Any
) -> Callable[[], Iterator[tuple[str, dict[str, np.ndarray]]]]:
    """Yields codes and examples like those that the file will see in use."""
    rows = endpoints[0].batch or 1
    count = max(_CALIBRATION, rows)
    sources = [random_inputs(model, count, seed=7)]
    if x is not None:
        sources.append(real_inputs(model, x, count))

    def examples() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for source in sources:
            for start in range(0, count - rows + 1, rows):
                for endpoint in endpoints:
                    if all(spec.name in source for spec in endpoint.inputs):
                        yield (
                            endpoint.name,
                            {
                                spec.name: _piece(source[spec.name], spec, start, rows)
                                for spec in endpoint.inputs
                            },
                        )

    return examples


def _piece(value: np.ndarray, spec: tf.TensorSpec, start: int, rows: int) -> np.ndarray:
    if spec.name == "num":
        return np.array([rows], np.int32)
    if spec.name == "temperature":
        return np.array([value], np.float32)
    if spec.name == "seed":
        return value + np.array([0, start], np.int32)
    return value[start : start + rows]


def check_runs(
    endpoints: Signatures, names: tuple[str, ...], content: bytes, batch: int | None
) -> None:
    """Runs each signature at several batch sizes, because some files convert but don't run.

    Raises:
        ExportRefused: if a call fails or its outputs have the wrong number of rows.
    """
    model = endpoints.model
    inputs = random_inputs(model, max(*BATCHES, batch or 1), seed=1)
    with tempfile.TemporaryDirectory(prefix="kvae-export-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        run = litert_runner(path)
        for endpoint in endpoints.choose(names, "device", batch):
            for rows in BATCHES if batch is None else (batch,):
                given = {
                    spec.name: np.int32(rows)
                    if spec.name == "num"
                    else inputs[spec.name]
                    if spec.name in ("seed", "temperature")
                    else inputs[spec.name][:rows]
                    for spec in endpoint.inputs
                }
                try:
                    outputs = run(endpoint.name, given)
                except (RuntimeError, ValueError) as error:
                    raise ExportRefused(
                        explain(model, (endpoint.name,), str(error), rows)
                    ) from error
                wrong = {k: v.shape for k, v in outputs.items() if len(v) != rows}
                if wrong:
                    raise ExportRefused(
                        f"the LiteRT file of {endpoint.name} returns shapes {wrong} "
                        f"for {rows} examples: a density in it doesn't run in LiteRT "
                        f"with a free batch size. Leave {endpoint.name} out of "
                        "signatures=; a SavedModel of this model does offer it."
                    )
