"""The exported decoder against Keras, onnxruntime and PyTorch, and the size of its files.

It is one file so that every contender and its timing stand side by side.

    python benchmarks/export.py                 # a few minutes
    python benchmarks/export.py --rounds 31

The digits decoder of `kvae.networks.conv_decoder`, 28 x 28 pixels, 16 latents, with random
weights: time does not depend on their values. onnxruntime and PyTorch get the same
layers and the same weights; every runner's pixels are compared with those of Keras
before it is timed. The runners take turns, so that a busy moment of the machine hits all
of them alike. LiteRT, onnxruntime and PyTorch run on one thread; TensorFlow keeps its
own choice of threads.

onnxruntime (pip install onnx onnxruntime) and PyTorch (pip install torch) are optional.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import kvae
import kvae.export
from kvae.networks import DepthToSpace, Unflatten, conv_decoder, conv_encoder

DATA_SHAPE, LATENT_DIM = (28, 28, 1), 16
BATCHES = (1, 16, 256)  # of the SavedModel
SECONDS = 0.05  # a runner's turn lasts about as long
LIMITS = {"float32": 1e-5, "float16": 1e-2, "int8_dynamic": 0.1, "int8": 0.25}
Runner = Callable[[np.ndarray], np.ndarray]


def make_model() -> kvae.VAE:
    """A convolutional model of digits with random weights and biases."""
    keras.utils.set_random_seed(0)
    vae = kvae.VAE(
        conv_encoder(DATA_SHAPE),
        conv_decoder(LATENT_DIM, DATA_SHAPE),
        kvae.posteriors.DiagonalNormal(LATENT_DIM),
        kvae.likelihoods.Bernoulli(DATA_SHAPE),
    )
    vae.build((None, *DATA_SHAPE))
    rng = np.random.default_rng(0)
    for weight in vae.trainable_weights:
        if len(weight.shape) == 1:  # biases of zero would hide one left out
            weight.assign(rng.normal(0.0, 0.1, weight.shape))
    return vae


def layers(vae: kvae.VAE) -> list[tuple[str, Any, Any, str]]:
    """The decoder as (kind, kernel or size, bias, activation), in order."""
    found: list[tuple[str, Any, Any, str]] = []
    for layer in vae.decoder.layers[1:]:
        if isinstance(layer, keras.layers.Dense | keras.layers.Conv2D):
            kind = "dense" if isinstance(layer, keras.layers.Dense) else "conv"
            weights = [np.asarray(w) for w in layer.get_weights()]
            found.append((kind, *weights, layer.activation.__name__))
        elif isinstance(layer, Unflatten):
            found.append(("unflatten", layer.shape, None, "linear"))
        elif isinstance(layer, DepthToSpace):
            found.append(("depth_to_space", 2, None, "linear"))
        else:
            raise TypeError(f"no translation of {type(layer).__name__}.")
    kernel, bias = (np.asarray(w) for w in vae.likelihood.get_weights())
    return [*found, ("conv", kernel, bias, "linear")]


def keras_predict(vae: kvae.VAE) -> Runner:
    """`Model.predict` on the decoder and the mean of its likelihood."""

    class Decode(keras.Model):
        def call(self, z: Any) -> Any:
            return vae.likelihood.mean(vae.likelihood_params(z))

    model = Decode()
    return lambda z: model.predict(z, verbose=0)


def compiled(vae: kvae.VAE) -> Runner:
    """A tf.function with a fixed signature."""
    spec = tf.TensorSpec((None, LATENT_DIM), tf.float32)

    @tf.function(input_signature=[spec])
    def decode(z: Any) -> Any:
        return vae.likelihood.mean(vae.likelihood_params(z))

    return lambda z: decode(tf.constant(z)).numpy()


def saved_model(path: Path) -> Runner:
    """The signature of the exported SavedModel."""
    loaded = tf.saved_model.load(str(path))
    decode = loaded.signatures["decode"]

    def run(z: np.ndarray) -> np.ndarray:
        return decode(z=tf.constant(z))["mean"].numpy()

    run.keeps = loaded  # type: ignore[attr-defined]  # its variables die with it
    return run


def litert(path: Path) -> Runner:
    """The LiteRT interpreter on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    (given,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(given["index"], [1, LATENT_DIM])
    interpreter.allocate_tensors()
    mean = _mean_index(interpreter)

    def run(z: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(given["index"], z)
        interpreter.invoke()
        return interpreter.get_tensor(mean)

    return run


def _mean_index(interpreter: Any) -> int:
    """Which output tensor is the mean, not the logits: the one within [0, 1]."""
    z = np.full((1, LATENT_DIM), 2.0, np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], z)
    interpreter.invoke()
    for detail in interpreter.get_output_details():
        value = interpreter.get_tensor(detail["index"])
        if value.min() >= 0.0 and value.max() <= 1.0:
            return int(detail["index"])
    raise RuntimeError("no output is in [0, 1]")


def onnx_runtime(vae: kvae.VAE) -> Runner:
    """The ONNX runtime on one thread, on a graph of the same layers, channels first."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    stored: list[Any] = []

    def store(array: Any) -> str:
        name = f"w{len(stored)}"
        stored.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(operation: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(nodes)}"
        nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    hidden = "z"
    for kind, first, bias, activation in layers(vae):
        if kind == "dense":
            hidden = add("Gemm", hidden, store(first), store(bias))
        elif kind == "conv":
            kernel = store(first.transpose(3, 2, 0, 1))
            hidden = add("Conv", hidden, kernel, store(bias), auto_pad="SAME_UPPER")
        elif kind == "unflatten":
            shape = store(np.array([-1, *first], np.int64))
            hidden = add("Reshape", hidden, shape)
            hidden = add("Transpose", hidden, perm=[0, 3, 1, 2])
        else:
            hidden = add("DepthToSpace", hidden, blocksize=first, mode="DCR")
        if activation == "gelu":
            hidden = add("Gelu", hidden)
    target = store(np.array([-1, *DATA_SHAPE], np.int64))  # one channel: no transpose
    hidden = add("Sigmoid", add("Reshape", hidden, target))
    real = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "decoder",
        [helper.make_tensor_value_info("z", real, ["batch", LATENT_DIM])],
        [helper.make_tensor_value_info(hidden, real, ["batch", *DATA_SHAPE])],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda z: session.run(None, {"z": z})[0]


def pytorch(vae: kvae.VAE) -> Runner:
    """PyTorch in eager mode on one thread, with the same layers and weights."""
    import torch
    from torch import nn

    class ChannelsFirst(nn.Module):
        def __init__(self, shape: tuple[int, ...]) -> None:
            super().__init__()
            self.shape = shape

        def forward(self, x: Any) -> Any:
            return x.reshape(-1, *self.shape).permute(0, 3, 1, 2)

    torch.set_num_threads(1)
    modules: list[Any] = []
    plan = layers(vae)
    for index, (kind, first, bias, activation) in enumerate(plan):
        if kind == "dense":
            module: Any = nn.Linear(*first.shape)
            weight = first.T
        elif kind == "conv":
            height, width, given, made = first.shape
            module = nn.Conv2d(given, made, (height, width), padding="same")
            weight = first.transpose(3, 2, 0, 1)
            if index + 1 < len(plan) and plan[index + 1][0] == "depth_to_space":
                # PixelShuffle counts channels before places, TensorFlow after.
                order = np.arange(made).reshape(4, -1).T.reshape(-1)
                weight, bias = weight[order], bias[order]
        elif kind == "unflatten":
            rows, columns, channels = first
            module, weight = ChannelsFirst((rows, columns, channels)), None
        else:
            module, weight = nn.PixelShuffle(first), None
        if weight is not None:
            with torch.no_grad():
                module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
                module.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
        modules.append(module)
        if activation == "gelu":
            modules.append(nn.GELU())
    network = nn.Sequential(*modules, nn.Sigmoid()).eval()

    def run(z: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(z)).numpy().reshape(-1, *DATA_SHAPE)

    return run


def take_turns(
    runners: dict[str, tuple[Runner, np.ndarray]], rounds: int
) -> dict[str, float]:
    """Times each runner in every round: the median over rounds of seconds per call."""
    calls = {}
    for name, (run, z) in runners.items():
        for _ in range(3):
            run(z)
        start = time.perf_counter()
        run(z)
        calls[name] = max(1, int(SECONDS / (time.perf_counter() - start)))
    taken: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, (run, z) in runners.items():
            run(z)  # its code and weights come back into the cache
            start = time.perf_counter()
            for _ in range(calls[name]):
                run(z)
            taken[name].append((time.perf_counter() - start) / calls[name])
    return {name: statistics.median(times) for name, times in taken.items()}


def optional(name: str, command: str, make: Callable[[], Runner]) -> Runner | None:
    """A runner, or None with a word about how to get it."""
    try:
        return make()
    except ImportError as error:
        print(f"{name} is left out ({error}); {command}")
        return None


def main() -> None:
    """Exports, compares, measures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    vae = make_model()
    rng = np.random.default_rng(1)
    latents = {b: rng.normal(size=(b, LATENT_DIM)).astype("float32") for b in BATCHES}
    exact = {b: vae.decode(z).mean().numpy() for b, z in latents.items()}
    examples = rng.random((128, *DATA_SHAPE)).astype("float32")
    decoder_bytes = sum(
        w.nbytes for *pair, _ in layers(vae) for w in pair if isinstance(w, np.ndarray)
    )

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "digits"
        report = kvae.export.export(vae, out, examples, allow_untrained=True)
        print(f"default export of this model, with all checks: {report.seconds:.1f} s")
        one: dict[str, tuple[Runner, str]] = {
            "Keras predict": (keras_predict(vae), "float32"),
            "tf.function": (compiled(vae), "float32"),
        }
        sizes = {}
        for precision in kvae.export.PRECISIONS:
            path = Path(folder) / f"{precision}.tflite"
            kvae.export.litert(vae, path, precision, x=examples, allow_untrained=True)
            sizes[precision] = path.stat().st_size
            one[f"LiteRT {precision}"] = (litert(path), precision)
        for name, command, make in (
            ("onnxruntime", "pip install onnx onnxruntime", onnx_runtime),
            ("PyTorch eager", "pip install torch", pytorch),
        ):
            runner = optional(name, command, lambda make=make: make(vae))
            if runner is not None:
                one[name] = (runner, "float32")
        served = saved_model(out / "saved_model" / "1")

        gaps = {}
        for name, (run, precision) in one.items():
            gaps[name] = float(np.abs(run(latents[1]) - exact[1]).max())
            if not gaps[name] <= LIMITS[precision]:
                raise SystemExit(
                    f"{name} is not the same decoder: {gaps[name]:.2g} off"
                )
        for batch in BATCHES:
            np.testing.assert_allclose(served(latents[batch]), exact[batch], atol=1e-5)

        runners = {name: (run, latents[1]) for name, (run, _) in one.items()}
        runners |= {f"SavedModel, batch {b}": (served, z) for b, z in latents.items()}
        taken = take_turns(runners, rounds)

    predict, quick = taken["Keras predict"], taken["LiteRT float32"]
    print(f"\nload of the machine over the last minute: {os.getloadavg()[0]:.1f}")
    print(f"batch 1, median of {rounds} rounds in turns\n")
    print("| runner | microseconds | predict / it | largest pixel difference |")
    print("|---|---|---|---|")
    for name, gap in gaps.items():
        each = taken[name]
        print(f"| {name} | {1e6 * each:.0f} | {predict / each:.1f} | {gap:.1e} |")
    print("\n| SavedModel | microseconds per call | per image |\n|---|---|---|")
    for batch in BATCHES:
        each = 1e6 * taken[f"SavedModel, batch {batch}"]
        print(f"| batch {batch} | {each:.0f} | {each / batch:.1f} |")
    print(f"\nweights of the decoder: {decoder_bytes} bytes in float32\n")
    print("| file | bytes | of the weights | of the float32 file |\n|---|---|---|---|")
    for precision, size in sizes.items():
        whole, full = size / decoder_bytes, size / sizes["float32"]
        print(f"| {precision} | {size} | {whole:.3f} | {full:.3f} |")

    share = {name: size / decoder_bytes for name, size in sizes.items()}
    targets = [
        (
            "LiteRT float32 at least 20 times faster than predict",
            predict / quick,
            ">=",
            20,
        ),
        ("float16 file / float32 bytes", share["float16"], "<=", 0.51),
        ("int8 file / float32 bytes", share["int8"], "<=", 0.28),
        ("dynamic int8 file / float32 bytes", share["int8_dynamic"], "<=", 0.28),
        ("seconds of the default export", report.seconds, "<=", 30),
    ]
    if "onnxruntime" in taken:
        ratio = quick / taken["onnxruntime"]
        targets.insert(1, ("LiteRT float32 / onnxruntime, time", ratio, "<=", 1))
    print("\n| target | measured | wanted | |\n|---|---|---|---|")
    for name, value, relation, wanted in targets:
        met = value >= wanted if relation == ">=" else value <= wanted
        print(
            f"| {name} | {value:.3g} | {relation} {wanted} | {'met' if met else 'MISSED'} |"
        )


if __name__ == "__main__":
    main()
