"""Trains on a million images that stay on disk: memory, and whether steps wait for them.

    python benchmarks/streaming.py

Makes images of 64 x 64 bytes by rule, an ellipse or a rectangle at a random place, size
and angle, and writes them in shards of 10 000 to a temporary folder (4.1 GB for a
million), which is removed. Then, in a process of its own for each number of images, a
run of `kvae.training.train` with its validation, test and pictures, whose peak of
resident memory is read from the system; and the time of a step on batches from disk
beside that on one batch that never changes, in turns, with the files in the system's
cache and without.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from fresh_process import start

SIDE = 64
SHARD = 10_000
BATCH = 512
HELD = 1000  # test examples, and validation examples


def main() -> None:
    """Makes the images, then starts a process for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    counts = [10_000, 100_000, 1_000_000]
    parser.add_argument("--counts", type=int, nargs="+", default=counts)
    parser.add_argument("--steps", type=int, default=400, help="at least, of each run")
    parser.add_argument("--rounds", type=int, default=7, help="of timed steps")
    parser.add_argument("--folder", help="where the temporary folder is made")
    parser.add_argument("--train", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--time", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        print(json.dumps(train(*arguments.train)))
    elif arguments.time:
        print(json.dumps(time_steps(arguments.time[0], int(arguments.time[1]))))
    else:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            measure(pathlib.Path(folder), arguments)


def measure(folder: pathlib.Path, arguments: argparse.Namespace) -> None:
    """Prints both tables."""
    most = max(arguments.counts)
    began = time.monotonic()
    whole = folder / str(most)
    write(whole, most)
    print(f"{most} images written in {time.monotonic() - began:.0f} s", flush=True)
    print("\n| images | passes | steps | peak, MiB | start to end, s | fit, s |")
    print("|---|---|---|---|---|---|", flush=True)
    for count in arguments.counts:
        data = folder / str(count)
        if count != most:
            link(whole, data, count)
        per_epoch = math.ceil((count - HELD) / BATCH)
        epochs = math.ceil(arguments.steps / per_epoch)
        found = start(__file__, "--train", str(data), str(epochs))
        print(
            f"| {count} | {epochs} | {epochs * per_epoch} | {found['peak']:.0f} | "
            f"{found['seconds']:.0f} | {found['fit']:.0f} |",
            flush=True,
        )
    found = start(__file__, "--time", str(whole), str(arguments.rounds))
    print(
        "\n| batches | ms per step, median | best | of the constant batch's "
        "| ms of processor time, median | of the constant batch's |"
    )
    print("|---|---|---|---|---|---|")
    constant = np.median(found["one constant batch"], axis=0)
    for name, times in found.items():
        clock, busy = np.median(times, axis=0)
        print(
            f"| {name} | {clock:.1f} | {min(times)[0]:.1f} | {clock / constant[0]:.2f} "
            f"| {busy:.1f} | {busy / constant[1]:.2f} |",
            flush=True,
        )


def write(folder: pathlib.Path, count: int) -> None:
    """Writes training shards and a test file."""
    folder.mkdir()
    np.save(folder / "test.npy", shapes(HELD, np.random.default_rng(1)))
    for i in range(count // SHARD):
        images = shapes(SHARD, np.random.default_rng([0, i]))
        np.save(folder / f"train-{i:05}.npy", images)


def link(whole: pathlib.Path, folder: pathlib.Path, count: int) -> None:
    """Makes a folder of the first images of another."""
    folder.mkdir()
    for name in ["test", *(f"train-{i:05}" for i in range(count // SHARD))]:
        (folder / f"{name}.npy").symlink_to(whole / f"{name}.npy")


def shapes(count: int, random: np.random.Generator) -> np.ndarray:
    """Draws (count, 64, 64) uint8: a bright shape on black, its edge one pixel soft."""
    images = np.empty((count, SIDE, SIDE), np.uint8)
    points = ((np.arange(SIDE) + 0.5) / SIDE).astype("float32")
    for first in range(0, count, 500):
        part = images[first : first + 500]
        low = np.array([0.3, 0.3, 0.08, 0.08, 0.0, 0.5, 0.0])
        high = np.array([0.7, 0.7, 0.25, 0.25, np.pi, 1.0, 1.0])
        drawn = random.uniform(low, high, (len(part), 7)).astype("float32")
        column, row, wide, tall, angle, bright, kind = drawn.T[:, :, None, None]
        across, down = points[None, None, :] - column, points[None, :, None] - row
        u = np.abs(np.cos(angle) * across + np.sin(angle) * down) / wide
        v = np.abs(np.cos(angle) * down - np.sin(angle) * across) / tall
        far = np.where(kind < 0.5, np.sqrt(u * u + v * v), np.maximum(u, v))
        inside = np.clip((1.0 - far) * wide * SIDE + 0.5, 0.0, 1.0)
        part[:] = np.round(255 * bright * inside)
    return images


def configuration(data: str, epochs: int) -> Any:
    """A dense model of pixels that are drawn again each time.

    Steps run one by one and without XLA whatever their number: a longer run would choose
    calls of many steps, which hold the batches of all of them.
    """
    from kvae.training import load_recipe

    return load_recipe(
        None,
        {
            "data": data,
            "epochs": epochs,
            "batch_size": BATCH,
            "validation": HELD,
            "binarize": "dynamic",
            "likelihood": "bernoulli",
            "network": "mlp",
            "latent_dim": 16,
            "jit_compile": False,
            "steps_per_execution": 1,
            "encoder": {"units": [256, 128]},
            "decoder": {"units": [128, 256]},
        },
    )


def train(data: str, epochs: str) -> dict[str, float]:
    """A whole run; its peak of memory in MiB, and its seconds."""
    from kvae.training import train as train_run

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = train_run(configuration(data, int(epochs)), pathlib.Path(folder) / "run")
    status = pathlib.Path("/proc/self/status").read_text()
    (peak,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return {
        "peak": int(peak.split()[1]) / 1024,
        "seconds": time.monotonic() - began,
        "fit": run.metrics["training"]["seconds"],
    }


def time_steps(
    data: str, rounds: int, steps: int = 40
) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds per step by the clock and of processor time, a mean of each round."""
    import tensorflow as tf

    from kvae.training import build_model, training_batches
    from kvae.training.run.runner import load_run_data

    config = configuration(data, 1)
    examples = load_run_data(config).train
    vae = build_model(config, examples)
    vae.compile("adam", jit_compile=False)
    batches = iter(training_batches(examples, BATCH, 0, binarize=True))
    held = iter(training_batches(examples[:SHARD], BATCH, 0, binarize=True))
    constant = iter(tf.data.Dataset.from_tensors(next(batches)).repeat())
    vae.build((None, SIDE, SIDE))
    vae.make_train_function()
    step = vae.train_function

    def steps_on(iterator: Iterator[Any]) -> tuple[float, float]:
        for _ in range(4):  # what is read ahead is used up, or the cache is warm
            step(iterator)
        began, busy = time.perf_counter(), time.process_time()
        for _ in range(steps):
            logs = step(iterator)
        float(next(iter(logs.values())))
        clock, busy = time.perf_counter() - began, time.process_time() - busy
        return 1000 * clock / steps, 1000 * busy / steps

    def forget() -> None:
        for file in examples.files:
            os.posix_fadvise(file.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        times.setdefault("one constant batch", []).append(steps_on(constant))
        times.setdefault("from memory", []).append(steps_on(held))
        for file in examples.files:  # into the cache
            np.fromfile(file.path, np.uint8).max()
        times.setdefault("from disk, in the cache", []).append(steps_on(batches))
        forget()
        times.setdefault("from disk, not in the cache", []).append(steps_on(batches))
    return times


if __name__ == "__main__":
    main()
