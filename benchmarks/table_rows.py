"""A table of a million rows: memory and rows per second, from the file to samples.

    python benchmarks/table_rows.py
    python benchmarks/table_rows.py --ending .parquet --counts 1000000

Makes tables of ten columns by rule: numbers with heavy tails, two modes, zeros, and
missing values, counts, text of few and many levels, a binary column, and dates. Then, in
a process of its own for each number of rows: reads the file, finds the schema, trains one
epoch in batches of 512, draws as many rows, at once and in parts, and fills in a tenth of
the entries of every hundredth row; and in another, a whole run of `kvae.training.train`.
Peaks are those of resident memory since the step before, read from the system.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
from fresh_process import start

BATCH = 512
CHUNK = 100_000  # rows made at a time
PART = 1 << 16  # rows drawn and written at a time
MIB = 2**20
IMPUTE = "impute, one row of a hundred"


def main() -> None:
    """Makes the tables, then starts a process for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    counts = [100_000, 1_000_000]
    parser.add_argument("--counts", type=int, nargs="+", default=counts)
    parser.add_argument("--ending", choices=(".csv", ".parquet"), default=".csv")
    parser.add_argument("--folder", help="where the temporary folder is made")
    parser.add_argument("--steps", help=argparse.SUPPRESS)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.steps:
        print(json.dumps(steps(arguments.steps)))
    elif arguments.train:
        print(json.dumps(train(arguments.train)))
    else:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            for count in arguments.counts:
                measure(pathlib.Path(folder) / f"{count}{arguments.ending}", count)


def measure(path: pathlib.Path, count: int) -> None:
    """Prints a row for each step."""
    frame = pd.concat([make_rows(rows) for rows in chunks(count)], ignore_index=True)
    write = frame.to_parquet if path.suffix == ".parquet" else frame.to_csv
    write(path, index=False)
    print(f"\n{count} rows, a file of {path.stat().st_size / MIB:.0f} MiB")
    print("| step | cpu s | rows per cpu s | peak, MiB | memory after it, MiB |")
    print("|---|---|---|---|---|", flush=True)
    del frame
    for what in ("--steps", "--train"):
        for name, (seconds, peak, after) in start(__file__, what, str(path)).items():
            rows = count // 100 if name == IMPUTE else count
            print(
                f"| {name} | {seconds:.1f} | {rows / seconds:,.0f} | {peak:.0f} | "
                f"{after:.0f} |",
                flush=True,
            )


def chunks(count: int) -> Iterator[np.ndarray]:
    """The numbers of the rows, some at a time."""
    for first in range(0, count, CHUNK):
        yield np.arange(first, min(first + CHUNK, count))


def make_rows(rows: np.ndarray) -> pd.DataFrame:
    """Draws rows whose columns depend on one another."""
    random = np.random.default_rng(int(rows[0]))
    count = len(rows)
    wealth, group = random.normal(size=count), random.integers(0, 8, count)
    income = np.exp(10 + 0.6 * wealth + 0.3 * random.normal(size=count)).round(2)
    income[random.random(count) < 0.15] = 0
    balance = np.where(group < 3, -2.0, 3.0) + wealth + random.normal(size=count)
    rating = 0.5 * wealth + 0.2 * group + random.normal(size=count)
    rating[random.random(count) < 0.05] = np.nan
    city = (group * 25 + random.geometric(0.15, count)) % 200
    days = (random.beta(2, 1 + group / 8) * 3650).astype("int64")
    return pd.DataFrame(
        {
            "age": np.clip(45 + 12 * random.normal(size=count), 18, 95).astype(int),
            "income": income,
            "balance": balance,
            "rating": rating.round(3),
            "visits": random.poisson(np.exp(0.3 * wealth + 0.5)),
            "member": np.where(wealth + random.normal(size=count) > 0, "yes", "no"),
            "job": np.array([f"job {i}" for i in range(8)])[group],
            "city": np.array([f"city {i}" for i in range(200)])[city],
            "joined": np.datetime_as_string(np.datetime64("2010-01-01") + days, "D"),
            "size": random.choice([1.0, 1.5, 2.0, 3.0], count, p=[0.4, 0.3, 0.2, 0.1]),
        }
    )


def memory(line: str) -> float:
    """Resident memory in MiB: VmHWM for the peak, VmRSS for now."""
    status = pathlib.Path("/proc/self/status").read_text()
    (found,) = (text for text in status.splitlines() if text.startswith(line))
    return int(found.split()[1]) / 1024


@contextlib.contextmanager
def measured(name: str, found: dict[str, tuple[float, float, float]]) -> Iterator[None]:
    """Puts processor seconds, the peak, and the memory afterward into a table."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
    began = time.process_time()
    yield
    seconds = time.process_time() - began
    found[name] = (seconds, memory("VmHWM"), memory("VmRSS"))
    print(name, found[name], file=sys.stderr, flush=True)


def steps(path: str) -> dict[str, tuple[float, float, float]]:
    """The calls of someone who works in Python."""
    import keras

    import kvae
    from kvae.tables import Schema, read_table, write_parts, write_table

    keras.config.disable_interactive_logging()
    keras.utils.set_random_seed(0)
    found: dict[str, tuple[float, float, float]] = {}
    with measured("read_table", found):
        frame = read_table(path)
    with measured("Schema.of", found):
        schema = Schema.of(frame)
    with measured("schema.encode", found):
        schema.encode(frame)
    with measured("VAE.for_data", found):
        vae = kvae.VAE.for_data(frame, schema=schema, seed=0)
    vae.compile("adam")
    with measured("fit, one epoch", found):
        vae.fit(frame, epochs=1, batch_size=BATCH, verbose=0)
    with measured("sample", found):
        drawn = vae.sample(len(frame), seed=0)
    written = f"{path}.drawn{pathlib.Path(path).suffix}"
    with measured("write_table", found):
        write_table(drawn, written)
    del drawn
    starts = range(0, len(frame), PART)
    with measured("sample and write, in parts", found):
        write_parts(
            (
                vae.sample(min(PART, len(frame) - first), seed=0, first=first)
                for first in starts
            ),
            written,
        )
    frame = frame.iloc[: len(frame) // 100].reset_index(drop=True)
    holes = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.1)
    with measured(IMPUTE, found):
        vae.impute(holes)
    return found


def train(path: str) -> dict[str, tuple[float, float, float]]:
    """A whole run, as `kvae train` does it."""
    from kvae.training import load_recipe
    from kvae.training import train as train_run

    found: dict[str, tuple[float, float, float]] = {}
    config = load_recipe(None, {"data": path, "epochs": 1, "batch_size": BATCH})
    with tempfile.TemporaryDirectory() as folder, measured("kvae train", found):
        train_run(config, pathlib.Path(folder) / "run")
    return found


if __name__ == "__main__":
    main()
