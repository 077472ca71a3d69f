"""How fast kvae trains, beside loops by hand, keras.io, PyTorch and pythae.

    python benchmarks/throughput.py                       # dense, a few minutes
    python benchmarks/throughput.py --model conv --rounds 7
    python benchmarks/throughput.py --model iwae          # dense, 50 latents per example
    python benchmarks/throughput.py --sweep               # batch, latent and data size
    python benchmarks/throughput.py --pythae-python ~/pythae/bin/python

Same networks, batch, data and optimizer. Each system has a process of its own, trains one
epoch per turn, and waits while others have theirs; the order is new in each round, so a
busy moment of the machine hits all alike. "of the best hand" is the median, over rounds,
of a system's examples per second over those of the hand-written loop with the best
median; "per CPU second" counts the processor time of all threads in place of the clock,
which other processes disturb less. Memory is the peak, and "first step" the seconds from
the start of the process until the first epoch is done, less a usual epoch: imports,
building, compiling; by the clock, and in processor time.

Run it on a machine that does nothing else. PyTorch's threads spin while they wait, so what
others take costs it most; OMP_WAIT_POLICY=PASSIVE before the command stops that, at the
price of half its speed on a quiet machine.

pythae pins old packages, so it has an environment of its own: `pip install pythae==0.1.2
torch==2.13.0` there, and give its Python.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import statistics
import sys
import tempfile
from typing import Any

import numpy as np
from throughput_process import System

FLOPS = {  # of one training example: 3 products of 2 flops per weight of a dense layer
    "dense": lambda latent: 6 * (2 * (784 * 512 + 512 * 256) + 3 * 256 * latent)
}
MODELS = {
    "dense": {"model": "dense", "shape": [784], "latent": 16, "samples": 1},
    "conv": {"model": "conv", "shape": [28, 28, 1], "latent": 32, "samples": 1},
    "iwae": {"model": "dense", "shape": [784], "latent": 16, "samples": 50},
}
EXAMPLES = {"dense": 25600, "conv": 6400, "iwae": 2560}
PRODUCTS = 12


def hand(jit: bool, whole: bool) -> dict[str, bool]:
    """Settings of a loop by hand."""
    return {"jit_compile": jit, "whole_epoch": whole}


def recipe(model: str) -> dict[str, Any]:
    """What the recipes say: XLA for dense networks alone."""
    return {
        "jit_compile": model != "conv",
        "steps_per_execution": 10 if model == "conv" else 24,
    }


def systems(model: str) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Name, and file, system and settings of each that takes part."""
    tensorflow, torch = "throughput_tensorflow.py", "throughput_torch.py"
    found = {
        "kvae fit": (tensorflow, "user", {} if model == "conv" else recipe(model)),
        "kvae recipe": (tensorflow, "recipe", recipe(model)),
        "kvae constant batch": (tensorflow, "constant", recipe(model)),
        "hand, step": (tensorflow, "hand", hand(False, False)),
        "hand, step, XLA": (tensorflow, "hand", hand(True, False)),
        "hand, epoch": (tensorflow, "hand", hand(False, True)),
        "hand, epoch, XLA": (tensorflow, "hand", hand(True, True)),
    }
    if model == "conv":  # XLA's convolutions within a loop: 2.5 s per step here
        del found["hand, epoch, XLA"]
    if model != "iwae":
        found["keras.io"] = (tensorflow, "keras_io", {})
        found["PyTorch"] = (torch, "plain", {})
        found["pythae"] = (torch, "pythae", {})
    return {**found, "peak": (torch, "peak", {})}


def measure(
    model: str,
    changes: dict[str, Any],
    examples: int,
    rounds: int,
    only: list[str] | None,
    pythae: str | None,
    bits: np.ndarray,
    overrides: dict[str, dict[str, Any]] | None = None,
) -> dict[str, System]:
    """Starts the systems one after another, then lets them take turns."""
    chosen = systems(model)
    if only is not None:
        chosen = {name: chosen[name] for name in only}
    running: dict[str, System] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "bits.npy"
        np.save(data, bits[np.arange(examples) % len(bits)])
        for name, (file, system, settings) in chosen.items():
            job = {**MODELS[model], "batch": 128, "data": str(data), **changes}
            job |= {"settings": settings, "products": PRODUCTS}
            job |= (overrides or {}).get(name, {})
            if name == "pythae" and pythae is None:
                print("pythae is left out: give --pythae-python PATH", file=sys.stderr)
                continue
            python = pythae if name == "pythae" and pythae else sys.executable
            try:
                running[name] = System(python, file, system, job)
            except RuntimeError as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
    for _ in range(rounds):
        order = list(running.values())
        random.shuffle(order)
        for one in order:
            one.train()
    for one in running.values():
        one.end()
    return running


def table(model: str, latent: int, examples: int, done: dict[str, System]) -> str:
    """The numbers as Markdown."""
    peak = done.pop("peak", None)
    lines = []
    if peak is not None:
        product = 2 * 2048**3 * PRODUCTS / 1e9
        speeds = [product / seconds for seconds in peak.all("seconds")]
        middle, best = statistics.median(speeds), max(speeds)
        lines += [f"Matrix product: {middle:.0f} GFLOP/s, at best {best:.0f}.", ""]
    hands = [name for name in done if name.startswith("hand")]
    best_hand = {
        what: min(hands, key=lambda name: statistics.median(done[name].all(what)))
        for what in ("seconds", "cpu")
        if hands
    }
    lines += [
        "| system | examples/s, median | best | of the best hand | per CPU second "
        "| of the best hand | first step, s | in CPU seconds | MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in done.items():
        cells = [name]
        for what in ("seconds", "cpu"):
            spent = one.all(what)
            cells.append(f"{examples / statistics.median(spent):.0f}")
            if what == "seconds":
                cells.append(f"{examples / min(spent):.0f}")
            if hands:
                pairs = zip(done[best_hand[what]].all(what), spent, strict=True)
                ratio = statistics.median(theirs / ours for theirs, ours in pairs)
                cells.append(f"{ratio:.2f}")
            else:
                cells.append("")
        for what, until in (("seconds", one.ready), ("cpu", one.first["ready_cpu"])):
            cells.append(f"{until - statistics.median(one.all(what)):.1f}")
        cells.append(f"{max(one.all('mebibytes')):.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    if peak is not None and model in FLOPS:
        flops = FLOPS[model](latent) * examples
        product = 2 * 2048**3 * PRODUCTS
        for name, one in done.items():
            pairs = zip(one.all("cpu"), peak.all("cpu"), strict=True)
            share = statistics.median(flops / s / (product / p) for s, p in pairs)
            lines.append(f"\n{name}: {share:.2f} of the matrix product per CPU second.")
    counts = {n: one.parameters for n, one in done.items()}
    lines.append(f"\nTrained weights: {sorted(set(counts.values()))}.")
    return "\n".join(lines)


def sweep(arguments: argparse.Namespace, bits: np.ndarray) -> None:
    """How kvae and the best hand grow with batch, latent size and data size."""
    print("| what | kvae fit | hand, step, XLA | ratio | kvae MiB |")
    print("|---|---|---|---|---|")
    only = ["kvae fit", "hand, step, XLA"]
    grid = [
        *(({"batch": batch}, 25600) for batch in (32, 512, 2048)),
        *(({"latent": latent}, 25600) for latent in (2, 64, 256)),
        *(({}, examples) for examples in (6400, 102400)),
    ]
    for changes, examples in grid:
        done = measure("dense", changes, examples, arguments.rounds, only, None, bits)
        speeds = {
            n: examples / statistics.median(s.all("seconds")) for n, s in done.items()
        }
        ours, theirs = (speeds[name] for name in only)
        pairs = zip(
            *(done[name].all("seconds") for name in reversed(only)), strict=True
        )
        ratio = statistics.median(hand / fit for hand, fit in pairs)
        words = (
            ", ".join(f"{k} {v}" for k, v in changes.items()) or f"{examples} examples"
        )
        memory = max(done["kvae fit"].all("mebibytes"))
        print(f"| {words} | {ours:.0f} | {theirs:.0f} | {ratio:.2f} | {memory:.0f} |")


def load_bits(data_dir: str | None) -> np.ndarray:
    """MNIST's training digits, or bits like them, (N, 784) float32."""
    if data_dir is None:
        generator = np.random.default_rng(0)
        return (generator.random((25600, 784)) < 0.13).astype("float32")
    import tensorflow_datasets as tfds

    found = tfds.load("mnist", split="train", batch_size=-1, data_dir=data_dir)
    images = tfds.as_numpy(found)["image"].reshape(-1, 784)
    return (images > 127).astype("float32")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="dense")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--examples", type=int, help="per epoch")
    parser.add_argument("--only", nargs="+", help="systems, by the table's names")
    parser.add_argument("--settings", help="of compile for `kvae fit`, as JSON")
    parser.add_argument("--pythae-python", help="of an environment with pythae")
    parser.add_argument("--data-dir", help="of TFDS: MNIST in place of random bits")
    parser.add_argument("--sweep", action="store_true", help="growth, instead")
    arguments = parser.parse_args()
    bits = load_bits(arguments.data_dir)
    load = os.getloadavg()[0]
    print(
        f"{arguments.model}, {datetime.date.today()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, Python {platform.python_version()}, load {load:.1f}\n",
        flush=True,
    )
    if arguments.sweep:
        sweep(arguments, bits)
        return
    examples = arguments.examples or EXAMPLES[arguments.model]
    overrides = {}
    if arguments.settings:
        overrides["kvae fit"] = {"settings": json.loads(arguments.settings)}
    done = measure(
        arguments.model,
        {},
        examples,
        arguments.rounds,
        arguments.only,
        arguments.pythae_python,
        bits,
        overrides,
    )
    latent: Any = MODELS[arguments.model]["latent"]
    print(table(arguments.model, latent, examples, done))


if __name__ == "__main__":
    main()
