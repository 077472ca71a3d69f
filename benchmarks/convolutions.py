"""What holds a convolutional training step: each layer of a recipe, in three products.

    python benchmarks/convolutions.py --torch-python PATH
    TF_ENABLE_ONEDNN_OPTS=0 python benchmarks/convolutions.py
    python benchmarks/convolutions.py --dtype bfloat16

For each layer with a kernel: the forward product, the gradient of its input, and that of
its kernel, in ms of processor time for one batch, by TensorFlow and by PyTorch, which take
turns in one run; beside a matrix product with the same multiply-adds, of the shape that a
convolution is. Then the recipe's activations with their gradients. One thread; medians.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import keras
import numpy as np
import tensorflow as tf

from kvae.training import build_model, load_recipe

CALLS = 5
PASSES = ("forward", "of input", "of kernel")


def layers_of(recipe: str, shape: tuple[int, ...], batch: int) -> list[dict[str, Any]]:
    """Describes the layers of the networks of a recipe, in the order of a forward pass."""
    x = np.random.default_rng(0).integers(0, 2, (64, *shape)).astype("float32")
    vae = build_model(load_recipe(recipe), x)
    vae.elbo(x[:2])
    found = []
    for part in (vae.encoder, vae.decoder):
        for layer in part._flatten_layers():
            if not isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
                continue
            kernel = tuple(layer.kernel.shape)
            strides = getattr(layer, "strides", (1, 1))[0]
            found.append(
                {
                    "x": (batch, *layer.input.shape[1:]),
                    "y": (batch, *layer.output.shape[1:]),
                    "kernel": kernel,
                    "stride": strides,
                    "act": keras.activations.serialize(layer.activation),
                }
            )
    return found


def name_of(layer: dict[str, Any]) -> str:
    """Says what a layer is."""
    sizes = "x".join(str(n) for n in layer["kernel"][:-2])
    many = " -> ".join(str(n) for n in layer["kernel"][-2:])
    place = "x".join(str(n) for n in layer["x"][1:-1])
    halves = ", halving" if layer["stride"] > 1 else ""
    return f"{sizes} {many} on {place}{halves}" if sizes else f"dense {many}"


def multiply_adds(layer: dict[str, Any]) -> tuple[int, int, int]:
    """Rows, shared axis, and columns of the product that a layer is."""
    columns = layer["kernel"][-1]
    rows = int(np.prod(layer["y"])) // columns
    return rows, int(np.prod(layer["kernel"])) // columns, columns


def milliseconds(call: Callable[[], Any]) -> float:
    """Processor time of a call."""
    began = time.process_time()
    for _ in range(CALLS):
        call()
    return 1e3 * (time.process_time() - began) / CALLS


def by_tensorflow(layer: dict[str, Any], dtype: str) -> list[Callable[[], Any]]:
    """The three products of a layer."""
    x, y, kernel = (
        tf.cast(tf.random.normal(layer[key]), dtype) for key in ("x", "y", "kernel")
    )
    if len(layer["x"]) == 2:
        calls = [
            lambda: tf.matmul(x, kernel),
            lambda: tf.matmul(y, kernel, transpose_b=True),
            lambda: tf.matmul(x, y, transpose_a=True),
        ]
    else:
        options = {"strides": [1, *2 * [layer["stride"]], 1], "padding": "SAME"}
        raw, sizes = tf.raw_ops, {key: list(layer[key]) for key in ("x", "kernel")}
        calls = [
            lambda: raw.Conv2D(input=x, filter=kernel, **options),
            lambda: raw.Conv2DBackpropInput(
                input_sizes=sizes["x"], filter=kernel, out_backprop=y, **options
            ),
            lambda: raw.Conv2DBackpropFilter(
                input=x, filter_sizes=sizes["kernel"], out_backprop=y, **options
            ),
        ]
    return [tf.function(call, autograph=False) for call in calls]


def activation(layer: dict[str, Any]) -> Callable[[], Any]:
    """The activation of a layer, with its gradient."""
    x, act = tf.random.normal(layer["y"]), keras.activations.get(layer["act"])

    def gradient() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = act(x)
        return tape.gradient(y, x)

    return tf.function(gradient, autograph=False)


def product(rows: int, shared: int, columns: int) -> Callable[[], Any]:
    """A product of two matrices."""
    x, w = tf.random.normal((rows, shared)), tf.random.normal((shared, columns))
    return tf.function(lambda: tf.matmul(x, w), autograph=False)


def main() -> None:
    """Measures in turns and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="mnist")
    parser.add_argument("--shape", type=int, nargs=3, default=(28, 28, 1))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", default="float32", help="of TensorFlow's products")
    parser.add_argument("--torch-python", help="interpreter that has torch")
    options = parser.parse_args()
    layers = layers_of(options.recipe, tuple(options.shape), options.batch)
    calls = [by_tensorflow(layer, options.dtype) for layer in layers]
    # One after the other: activations, products of the same size, and the peak.
    single = [activation(layer) for layer in layers]
    single += [product(*multiply_adds(layer)) for layer in layers]
    single.append(product(2048, 2048, 2048))
    for call in [*sum(calls, []), *single]:
        call()  # traces
    ours, theirs, rest = [], [], []
    for _ in range(options.rounds):
        ours.append([[milliseconds(call) for call in row] for row in calls])
        rest.append([milliseconds(call) for call in single])
        if options.torch_python:
            script = str(pathlib.Path(__file__).with_name("convolutions_torch.py"))
            command = [options.torch_python, script, json.dumps(layers), str(CALLS)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            theirs.append(json.loads(done.stdout.splitlines()[-1]))
    tensorflow, others = np.median(ours, axis=0), np.median(rest, axis=0)
    activations, products = np.split(others[:-1], 2)
    torch = np.median(theirs, axis=0) if theirs else np.full_like(tensorflow, np.nan)
    # The gradient of the first layer's input is not needed.
    tensorflow[0, 1] = torch[0, 1] = 0.0
    peak = 2 * 2048**3 / others[-1] / 1e6
    print(f"{peak:.0f} GFLOP/s in a product of 2048 x 2048 matrices; ms per batch")
    titles = [f"{who}, {what}" for who in ("TF", "PyTorch") for what in PASSES]
    print("| layer | " + " | ".join(titles) + " | product | at the peak | activation |")
    print("|---|" + "---|" * 9)
    for i, layer in enumerate(layers):
        flop = 2 * np.prod([float(n) for n in multiply_adds(layer)])
        numbers = [*tensorflow[i], *torch[i], products[i]]
        numbers += [flop / peak / 1e6, activations[i]]
        cells = " | ".join(f"{number:.2f}" for number in numbers)
        print(f"| {name_of(layer)} | {cells} |")
    sums = [*tensorflow.sum(axis=0), *torch.sum(axis=0)]
    print("| sum | " + " | ".join(f"{number:.2f}" for number in sums) + " | | | |")
    print(
        f"all products: TensorFlow {tensorflow.sum():.1f}, PyTorch {torch.sum():.1f}; "
        f"activations with their gradients {activations.sum():.1f} ms"
    )


if __name__ == "__main__":
    main()
