"""The model card inside a .tflite file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_KEY = "KVAE_CARD"
_UNITS = {
    "z": "latent",
    "num": "how many images, at least 1",
    "seed": "two 32-bit integers; the same seed gives the same latents",
    "temperature": "factor on the spread of the prior; 1 draws from it",
    "condition": "what the model is conditioned on",
    "mask": "1 where x is observed or visible, 0 where it is missing or hidden",
    "elbo": "nats per example; higher is better",
    "rate": "nats per example",
    "distortion": "nats per example",
    "loc": "latent",
    "scale": "latent",
}


def make_card(
    model: dict[str, Any],
    file: dict[str, Any],
    support: str,
    license: str | None,
    rows: list[dict[str, Any]],
    cost: dict[str, Any],
) -> dict[str, Any]:
    """Describes a file, for whoever finds it on a device.

    Args:
        model: the model's entry in the manifest.
        file: the file's entry in the manifest.
        support: what values x may take, in words.
        license: of the weights, an SPDX name or any text; None if not stated.
        rows: its parity table.
        cost: what its precision costs.

    Returns:
        card: JSON types.
    """
    units = {**_UNITS, "x": support, "mean": f"the mean of x: {support}"}
    outputs = {(row["signature"], row["output"]): row for row in rows}
    return {
        "model": model,
        "precision": file["precision"],
        "batch": file["batch"],
        "license": license,
        "signatures": {
            name: {
                "inputs": {
                    key: {**spec, "unit": units.get(key, "parameter")}
                    for key, spec in inputs.items()
                },
                "outputs": {
                    output: {"unit": units.get(output, f"parameter of {support}")}
                    for signature, output in outputs
                    if signature == name
                },
            }
            for name, inputs in file["signatures"].items()
        },
        "parity": rows,
        "cost": cost,
    }


def attach_card(content: bytes, card: dict[str, Any]) -> bytes:
    """Returns a .tflite file with a card in its metadata."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(json.dumps(card).encode(), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = _KEY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def read_card(path: Any) -> dict[str, Any]:
    """Reads the card of a .tflite file.

    Args:
        path: of the file.

    Returns:
        card: the result of `make_card`.

    Raises:
        ValueError: if the file is not a model, or has no card.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    content = Path(path).read_bytes()
    if content[4:8] != b"TFL3":
        raise ValueError(f"{path} is not a .tflite file.")
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    for entry in model.metadata or []:
        name = entry.name.decode() if isinstance(entry.name, bytes) else entry.name
        if name == _KEY:
            card: dict[str, Any] = json.loads(bytes(model.buffers[entry.buffer].data))
            return card
    raise ValueError(f"{path} has no card: it was not written by kvae.export.")
