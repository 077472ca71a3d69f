"""How long until a VAE of MNIST is good: ours, PyTorch, pythae, and keras.io.

    python benchmarks/time_to_quality.py --data-dir DIR --torch-python PATH --out t.jsonl
    python benchmarks/time_to_quality.py --out t.jsonl --data-dir DIR --systems kvae
    python benchmarks/time_to_quality.py --out t.jsonl --systems       # only the table

The marks are test ELBOs: all 10 000 test images, binarized once, one latent per image, the
rate in closed form. Training pixels are drawn again in each epoch. All systems train on
the same 59 000 images in batches of 128 and take turns of one epoch, in a new order each
round. What counts is the time of training from the first step, with compiling, and without
imports and without the measurement of the ELBO after each epoch; between two epochs the
mark's time is interpolated. Processor time is that of all threads.

- kvae: the recipe mnist, as `kvae train mnist` trains it; --set changes a key.
- PyTorch: a plain loop, Adam at 1e-3, with the layers of the recipe.
- PyTorch, dense: the same loop with pythae's default networks, without its trainer.
- pythae: its VAE with its default networks (512 units each way), its trainer, Adam at 1e-3.
- keras.io: the layers of the VAE example on keras.io, with 32 latents in place of its 2,
  which reach no mark; Adam at 1e-3.

--out holds one line of JSON per epoch, so a second command resumes: systems and seeds that
are done are left out, those that are not start over. `taskset` chooses the cores.
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

MARKS = (-95.0, -90.0, -88.0, -86.0)
LATENT, BATCH = 32, 128
SYSTEMS = {
    "kvae": ("time_to_quality_keras.py", "recipe"),
    "keras.io": ("time_to_quality_keras.py", "keras_io"),
    "PyTorch": ("time_to_quality_torch.py", "plain"),
    "PyTorch, dense": ("time_to_quality_torch.py", "dense"),
    "pythae": ("time_to_quality_torch.py", "pythae"),
}


def write_data(folder: pathlib.Path, data_dir: str | None) -> None:
    """Writes the probabilities of the training images, and the bits of the test images."""
    from kvae.training import binarize_once, load_data

    data = load_data("mnist", data_dir, 1000)
    np.savez(folder / "mnist.npz", train=data.train, test=binarize_once(data.test))


def read(out: pathlib.Path) -> list[dict[str, Any]]:
    """The epochs that were measured, each with its system and seed."""
    return (
        [json.loads(line) for line in out.read_text().splitlines()]
        if out.exists()
        else []
    )


def keep_done(out: pathlib.Path) -> set[tuple[str, int]]:
    """Removes what was interrupted from the file; returns what is done."""
    rows = read(out)
    done = {(row["system"], row["seed"]) for row in rows if row["last"]}
    kept = [row for row in rows if (row["system"], row["seed"]) in done]
    out.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return done


def start(
    name: str, seed: int, data: pathlib.Path, options: argparse.Namespace
) -> System:
    """Starts a system, which trains its first epoch."""
    file, system = SYSTEMS[name]
    job = {"data": str(data), "seed": seed, "latent": LATENT, "batch": BATCH}
    job |= {"set": options.set, "model": "conv", "shape": [28, 28, 1]}
    torch = "torch" in file
    return System(options.torch_python if torch else sys.executable, file, system, job)


def run_seed(seed: int, names: list[str], data: pathlib.Path, options: Any) -> None:
    """Lets systems take turns until each has passed all marks or used its time up."""
    running: dict[str, System] = {}
    spent: dict[str, dict[str, Any]] = {}

    def note(name: str, turn: dict[str, Any]) -> None:
        row = spent.setdefault(name, {"epoch": 0, "cpu": 0.0, "clock": 0.0})
        row |= {"epoch": row["epoch"] + 1, "elbo": turn["elbo"]}
        row["cpu"] += turn["cpu"]
        row["clock"] += turn["seconds"]
        over = row["cpu"] >= 60 * options.minutes
        last = bool(over or turn["elbo"] >= max(MARKS) or turn.get("last"))
        line = {"system": name, "seed": seed, **row, "last": last}
        with options.out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        if last:
            running.pop(name).end()

    for name in names:
        running[name] = start(name, seed, data, options)
        note(name, running[name].first)
    while running:
        order = list(running)
        random.shuffle(order)
        for name in order:
            running[name].train()
            note(name, running[name].epochs[-1])


def passed(points: list[tuple[float, float]], mark: float) -> float | None:
    """When a curve first passes a mark; None if it never does.

    Args:
        points: seconds and ELBO after each epoch.
        mark: an ELBO.

    Returns:
        seconds: on the line between the last epoch below the mark and the next one; the
            end of the first epoch if that is past the mark.
    """
    before: tuple[float, float] | None = None
    for seconds, elbo in points:
        if elbo >= mark:
            if before is None:
                return seconds
            share = (mark - before[1]) / (elbo - before[1])
            return before[0] + share * (seconds - before[0])
        before = seconds, elbo
    return None


def table(rows: list[dict[str, Any]]) -> str:
    """Minutes of processor time, and of the clock, until each mark: medians over seeds."""
    titles = " | ".join(f"{mark:g}" for mark in MARKS)
    lines = [f"| system | seeds | {titles} | best, at |", "|---|---|" + "---|" * 5]
    for name in dict.fromkeys(row["system"] for row in rows):
        own = [row for row in rows if row["system"] == name]
        seeds = sorted({row["seed"] for row in own})
        cells = [name, ", ".join(map(str, seeds))]
        for mark in MARKS:
            times = []
            for clock in ("cpu", "clock"):
                curves = (
                    [(row[clock], row["elbo"]) for row in own if row["seed"] == seed]
                    for seed in seeds
                )
                times.append([passed(curve, mark) for curve in curves])
            cells.append(cell(*times))
        best = max(own, key=lambda row: row["elbo"])
        cells.append(f"{best['elbo']:.2f}, {best['cpu'] / 60:.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(cpu: list[float | None], clock: list[float | None]) -> str:
    """Minutes by processor, with their range, and by the clock."""
    reached = [seconds / 60 for seconds in cpu if seconds is not None]
    if not reached:
        return "not reached"
    by_clock = statistics.median(s / 60 for s in clock if s is not None)
    text = f"{statistics.median(reached):.1f}"
    if len(reached) > 1:
        text += f" [{min(reached):.1f}, {max(reached):.1f}]"
    text += f" ({by_clock:.1f})"
    return text if len(reached) == len(cpu) else f"{text}, {len(reached)} of {len(cpu)}"


def main() -> None:
    """Measures what is not in the file yet, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument(
        "--minutes", type=float, default=15, help="of processor time each"
    )
    parser.add_argument("--set", nargs="*", default=[], help="key=value of the recipe")
    parser.add_argument("--data-dir", help="of TFDS")
    parser.add_argument(
        "--torch-python", help="of an environment with pythae and torch"
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, help="of the times")
    options = parser.parse_args()
    done = keep_done(options.out)
    names = [
        name
        for name in options.systems
        if options.torch_python or "torch" not in SYSTEMS[name][0]
    ]
    for name in set(options.systems) - set(names):
        print(f"{name} is left out: give --torch-python PATH", file=sys.stderr)
    cores = len(os.sched_getaffinity(0))
    print(
        f"{datetime.date.today()}, {cores} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    if any((name, seed) not in done for name in names for seed in options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            write_data(pathlib.Path(folder), options.data_dir)
            for seed in options.seeds:
                wanted = [name for name in names if (name, seed) not in done]
                run_seed(seed, wanted, pathlib.Path(folder) / "mnist.npz", options)
    print("\nMinutes of processor time (of the clock) until the test ELBO passes\n")
    print(table(read(options.out)))


if __name__ == "__main__":
    main()
