"""Kills a run at random moments, and compares it with one that ran through.

    python benchmarks/kill.py --kills 20 --set epochs=200

Each life of the killed run ends by SIGKILL after a random time, wherever it is: in the
imports, in a step, in the middle of writing a checkpoint. The next life resumes
`kvae train --resume`. If a run finishes before the kills are used up, another begins.
In the end every weight, every state of the optimizer and history.csv must be the same
to the bit. Exit status 1 if they are not.
"""

from __future__ import annotations

import argparse
import io
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import zipfile

import h5py
import numpy as np


def main() -> int:
    """Runs through, kills, compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", default="digits")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--data-dir")
    arguments = parser.parse_args()
    begin = ["train", arguments.recipe, "--quiet", "--set", "checkpoint=1 second"]
    begin += [f"--set={setting}" for setting in arguments.settings]
    begin += ["--data-dir", arguments.data_dir] if arguments.data_dir else []
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder) / "whole"
        began = time.monotonic()
        start([*begin, "--out", str(whole)]).wait()
        seconds = time.monotonic() - began
        print(f"the run that ran through took {seconds:.1f} s", flush=True)
        left, runs, same = arguments.kills, 0, True
        while left:
            runs += 1
            path = pathlib.Path(folder) / f"killed-{runs}"
            left = kill_until_done(path, begin, left, moments, seconds)
            same = compare(whole, path) and same
    print(f"{arguments.kills} kills in {runs} runs: {'same' if same else 'DIFFERENT'}")
    return 0 if same else 1


def kill_until_done(
    path: pathlib.Path,
    begin: list[str],
    kills: int,
    moments: random.Random,
    seconds: float,
) -> int:
    """Runs and kills until the run is finished; returns how many kills are left."""
    while True:
        known = (path / "run.json").exists()
        verb = ["train", "--resume", str(path), "--quiet"]
        process = start(verb if known else [*begin, "--out", str(path)])
        # Short enough that a run has many lives, long enough that most get on.
        wait = moments.uniform(0, max(0.5 * seconds, 10)) if kills else None
        try:
            status = process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills -= 1
            last = max(path.glob("checkpoints/*.npz"), default=None)
            where = "none yet" if last is None else last.stem
            half = len(list(path.glob("checkpoints/.*partial*")))
            print(
                f"killed after {wait:5.1f} s; last checkpoint {where}"
                + (", one half written" if half else ""),
                flush=True,
            )
            continue
        if status:
            raise SystemExit(f"kvae ended with status {status}")
        return kills


def start(arguments: list[str]) -> subprocess.Popen[bytes]:
    """Starts the command `kvae`."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "kvae_cli", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )


def compare(left: pathlib.Path, right: pathlib.Path) -> bool:
    """Says whether two runs are the same to the bit."""
    one, two = arrays(left / "model.keras"), arrays(right / "model.keras")
    differ = [name for name in one if one[name].tobytes() != two[name].tobytes()]
    texts = [(run / "history.csv").read_bytes() for run in (left, right)]
    same = set(one) == set(two) and not differ and texts[0] == texts[1]
    numbers = sum(array.size for array in one.values())
    print(
        f"{len(one)} arrays of {numbers} numbers: {len(differ)} differ; history.csv "
        + ("is the same" if texts[0] == texts[1] else "differs"),
        flush=True,
    )
    return same


def arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """All weights, counters and optimizer states of a .keras file, by name."""
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item)

    with zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "r") as file:
        file.visititems(visit)
    return found


if __name__ == "__main__":
    sys.exit(main())
