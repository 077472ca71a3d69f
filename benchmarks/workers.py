"""Trains on several local processes and says how far they are from one process.

    python benchmarks/workers.py --num 4

Weights and reports of all workers must be the same bit for bit, and those of one process
at the global batch size to float tolerance. It is the test of two workers with more; on
one machine it says nothing of speed.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support import loopback_workers  # noqa: E402  after the path


def main() -> int:
    """Runs the workers and prints one line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=4, help="workers (4)")
    num = parser.parse_args().num
    began = time.monotonic()
    script = ROOT / "tests" / "library" / "fitting" / "train_on_workers.py"
    workers = loopback_workers.results(loopback_workers.start(num, script))
    right = True
    cases = ("Adam, sample weights, global_clipnorm", "SGD")
    for case, found in zip(cases, zip(*workers, strict=True), strict=True):
        first = found[0]
        same = all(each["bytes"] == first["bytes"] for each in found)
        right &= same and first["weights"] < 1e-6 and first["reports"] < 1e-5
        print(
            f"{case}: {first['workers']} workers {'the same' if same else 'DIFFER'}; "
            f"from one process weights {first['weights']:.1e} (moved "
            f"{first['moved']:.1e}), reports {first['reports']:.1e}"
        )
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
