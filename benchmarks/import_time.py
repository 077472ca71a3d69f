"""What `import kvae` costs over the libraries it stands on.

    python benchmarks/import_time.py            # about a minute
    python benchmarks/import_time.py --rounds 9

Every import runs in a fresh process; the three statements take turns, so that a busy
moment of the machine hits all of them alike. Processor time is the fairer number on a
machine that others use too; the quickest wall-clock time is the wait on an idle one.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

STATEMENTS = {
    "tensorflow": "import tensorflow",
    "tensorflow, keras, tfp": "import tensorflow, keras, tensorflow_probability",
    "kvae": "import kvae",
}


def processor_seconds() -> float:
    """Processor seconds, user and system, of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds(statement: str) -> tuple[float, float]:
    """Processor and wall-clock seconds of one fresh process that runs a statement."""
    used, start = processor_seconds(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", statement],
        check=True,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    wall = time.perf_counter() - start
    return processor_seconds() - used, wall


def main() -> None:
    """Times the statements in turns and prints one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for statement in STATEMENTS.values():
        seconds(statement)  # fills the disk cache and writes the bytecode
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in STATEMENTS}
    for _ in range(rounds):
        for name, statement in STATEMENTS.items():
            taken[name].append(seconds(statement))
    processor = {name: [p for p, _ in pairs] for name, pairs in taken.items()}
    wall = {name: [w for _, w in pairs] for name, pairs in taken.items()}
    for name in STATEMENTS:
        print(
            f"import {name}: processor time median "
            f"{statistics.median(processor[name]):.2f} s, least "
            f"{min(processor[name]):.2f} s; wall clock quickest {min(wall[name]):.2f} s"
        )
    for name in list(STATEMENTS)[:-1]:
        over = min(processor["kvae"]) - min(processor[name])
        print(f"kvae over {name}: {over:+.2f} s of processor time (least of each)")


if __name__ == "__main__":
    main()
