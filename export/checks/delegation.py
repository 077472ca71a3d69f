"""Which operations of a .tflite file run on the accelerated CPU path, XNNPACK."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kvae.export.checks.verification import without_greetings

_SUBGRAPHS = 8  # where the table Model of TensorFlow's schema.fbs keeps that field


def outside_xnnpack(path: Path, batch: int = 1) -> dict[str, list[str]]:
    """Names the operations that XNNPACK doesn't run, for each signature of a file.

    A delegate node computes its outputs from its inputs, so it covers every operation
    between them. All other operations run in the plain interpreter, and each switch
    between the two costs time.

    Args:
        path: of a .tflite file.
        batch: examples per call, for a file with a free batch size.

    Returns:
        operations: by signature and in the order of execution; an empty list if all
            operations are accelerated.
    """
    from ai_edge_litert.schema_py_generated import Model

    content = bytearray(path.read_bytes())
    model = Model.GetRootAs(content)
    found = {}
    for number in range(model.SignatureDefsLength()):
        entry = model.SignatureDefs(number)
        # The interpreter only lists the operations of the first subgraph.
        with _swapped(content, model, entry.SubgraphIndex()):
            found[entry.SignatureKey().decode()] = _outside(bytes(content), batch)
    return found


@contextlib.contextmanager
def _swapped(content: bytearray, model: Any, index: int) -> Iterator[None]:
    """Makes a subgraph the first one, and the first one that subgraph, for a while.

    A file holds a vector of the distances to its subgraphs, each from its own place.
    """
    field = model._tab.Offset(_SUBGRAPHS)
    start = model._tab.Vector(field)
    places = [start, start + 4 * index]
    graphs = [model.Subgraphs(i)._tab.Pos for i in (0, index)]
    for place, graph in zip(places, reversed(graphs), strict=True):
        struct.pack_into("<I", content, place, graph - place)
    yield
    for place, graph in zip(places, graphs, strict=True):
        struct.pack_into("<I", content, place, graph - place)


def _outside(content: bytes, batch: int) -> list[str]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    for detail in interpreter.get_input_details():
        signature = detail["shape_signature"]
        if len(signature) and signature[0] == -1:
            interpreter.resize_tensor_input(detail["index"], [batch, *signature[1:]])
    with without_greetings():
        interpreter.allocate_tensors()
    operations: list[dict[str, Any]] = interpreter._get_ops_details()
    nodes = [op for op in operations if op["op_name"] != "DELEGATE"]
    maker = {int(t): i for i, op in enumerate(nodes) for t in op["outputs"]}
    covered: set[int] = set()
    for delegate in operations:
        if delegate["op_name"] != "DELEGATE":
            continue
        border = {int(t) for t in delegate["inputs"]}
        pending = [int(t) for t in delegate["outputs"]]
        while pending:
            tensor = pending.pop()
            if tensor in border or tensor not in maker or maker[tensor] in covered:
                continue
            covered.add(maker[tensor])
            pending += [int(t) for t in nodes[maker[tensor]]["inputs"]]
    return [op["op_name"] for i, op in enumerate(nodes) if i not in covered]
