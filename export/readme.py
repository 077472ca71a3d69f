"""The page of an export: what its files are, and how to load them."""

from __future__ import annotations

from typing import Any

from kvae.core.front_matter import front_matter

_SAVED_MODEL = """
On a computer with TensorFlow:

```python
import tensorflow as tf

model = tf.saved_model.load("saved_model/1")
decode = model.signatures["decode"]
print(decode.structured_input_signature, decode.structured_outputs)
```
"""
_LITERT = """
On a computer with LiteRT; phones call the same signatures:

```python
from ai_edge_litert.interpreter import Interpreter

decode = Interpreter("{path}").get_signature_runner("decode")
print(decode.get_input_details(), decode.get_output_details())
```
"""


def readme(
    name: str, about: dict[str, Any], files: list[dict[str, Any]], license: str | None
) -> str:
    """Says what an export holds.

    Args:
        name: of the export.
        about: the model, as in export.json.
        files: what was written, as in export.json.
        license: of the weights, or None.
    """
    shape = "x".join(map(str, about["data_shape"]))
    latents = "x".join(map(str, about["latent_shape"]))
    parts = [
        f"{front_matter(license)}\n\n# {name}",
        f"A variational autoencoder of examples of shape {shape}, with {latents} latents "
        f"and {about['parameters']:,} weights: {about['posterior']}, {about['prior']}, "
        f"{about['likelihood']}, trained with {about['objective']} for "
        f"{about['steps']:,} steps. "
        + (
            f"License of the weights: {license}."
            if license
            else "No license was given."
        ),
        "## Files",
        _table(files),
        "`export.json` has every input and output with its unit, and the comparison of "
        "each file with Keras. `python verify.py` compares them again.",
        "## Load it",
        *_loading(files),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(files: list[dict[str, Any]]) -> str:
    lines = ["| file | precision | batch | KiB | ELBO lost | signatures |"]
    lines.append("|---|---|---|---|---|---|")
    for file in files:
        cost = file.get("cost")
        lost = "" if cost is None else f"{max(0.0, -cost['elbo_change']):.2g} nats"
        batch = "any" if file["batch"] is None else file["batch"]
        cells = (
            f"`{file['path']}`",
            file["precision"],
            batch,
            f"{file['bytes'] / 1024:.0f}",
            lost,
            ", ".join(file["signatures"]),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _loading(files: list[dict[str, Any]]) -> list[str]:
    litert = [
        file["path"]
        for file in files
        if file["kind"] == "litert" and "decode" in file["signatures"]
    ]
    shown = []
    if any(file["kind"] == "saved_model" for file in files):
        shown.append(_SAVED_MODEL)
    if litert:
        shown.append(_LITERT.format(path=litert[0]))
    return shown
