"""The PyTorch half of convolutions.py: the three products of each layer.

    python benchmarks/convolutions_torch.py LAYERS.json CALLS

Nothing of kvae is imported: PyTorch may live in an environment of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch


def products(layer: dict[str, Any]) -> list[Callable[[], Any]]:
    """Forward, the gradient of the input, and that of the kernel."""
    kernel = layer["kernel"]
    if len(layer["x"]) == 2:
        x, y, w = (torch.randn(layer[key]) for key in ("x", "y", "kernel"))
        return [lambda: x @ w, lambda: y @ w.T, lambda: x.T @ y]
    stride = layer["stride"]
    padding = [(size - stride + 1) // 2 for size in kernel[:2]]
    x = maps(layer["x"])
    w = torch.randn(kernel[3], kernel[2], *kernel[:2])
    w = w.to(memory_format=torch.channels_last)
    y = maps(layer["y"])

    def backward(of_input: bool) -> Any:
        return torch.ops.aten.convolution_backward(
            y, x, w, None, [stride] * 2, padding, [1, 1], False, [0, 0], 1,
            [of_input, not of_input, False],
        )  # fmt: skip

    return [
        lambda: torch.nn.functional.conv2d(x, w, None, stride, padding),
        lambda: backward(True),
        lambda: backward(False),
    ]


def maps(shape: list[int]) -> Any:
    """Random maps, channels last."""
    batch, height, width, channels = shape
    found = torch.randn(batch, channels, height, width)
    return found.to(memory_format=torch.channels_last)


def main() -> None:
    """Prints ms of processor time, a row per layer."""
    torch.set_num_threads(1)
    layers, calls = json.loads(sys.argv[1]), int(sys.argv[2])
    rows = []
    with torch.no_grad():
        for layer in layers:
            row = []
            for product in products(layer):
                product()
                began = time.process_time()
                for _ in range(calls):
                    product()
                row.append(1e3 * (time.process_time() - began) / calls)
            rows.append(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
