"""kvae against CTGAN's TVAE on tables: is it useful, is it private, how long does it take.

    pip install ctgan          # in an environment of its own, whose Python is --tvae
    python benchmarks/tables.py --data credit.csv --target class --tvae ctgan/bin/python

Each seed splits the rows into 70 % for training and 30 % for tests. Both models see the
training rows and draw as many. A random forest that learned from drawn rows predicts the
target of the test rows, next to one that learned from the training rows (see
`kvae.evaluation.table_quality`). TVAE trains for 300 epochs, its default; kvae for as many
steps as `kvae train` takes at least, with the mixture that it fits.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kvae
from kvae import evaluation
from kvae.tables import Schema, read_table

SHOWN = (
    "trained_on_real",
    "trained_on_synthetic",
    "membership_auc",
    "mean_distance",
    "mean_pair_difference",
    "closest_record",
    "closest_record_of_held_out",
)


def main() -> None:
    """Prints a row for each model: means over seeds, with standard errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--tvae", help="a Python that has ctgan; left out if None")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--latent-dim", type=int)
    parser.add_argument("--beta", type=float, default=1.0)
    arguments = parser.parse_args()
    frame = read_table(arguments.data)
    found: dict[str, list[list[float]]] = {}
    for seed in range(arguments.seeds):
        order = np.random.default_rng(seed).permutation(len(frame))
        at = int(0.7 * len(frame))
        train, test = (
            frame.iloc[rows].reset_index(drop=True) for rows in np.split(order, [at])
        )
        drawn = {"kvae": by_kvae(train, arguments, seed)}
        if arguments.tvae:
            drawn["TVAE"] = by_tvae(train, arguments.tvae, seed)
        for name, (rows, seconds) in drawn.items():
            quality = evaluation.table_quality(
                train, test, rows, arguments.target, seed=seed
            )
            values = [getattr(quality, field) for field in SHOWN]
            found.setdefault(name, []).append([*values, seconds])
            print(name, seed, *(f"{v:.3f}" for v in found[name][-1]), flush=True)
    print(f"\n{arguments.data.name}: {len(frame)} rows, {arguments.seeds} seeds")
    for name, rows in found.items():
        print(name)
        table = np.array(rows)
        for field, values in zip((*SHOWN, "seconds"), table.T, strict=True):
            error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0
            print(f"  {field:28} {values.mean():8.3f} ± {error:.3f}")


def by_kvae(train: object, arguments: argparse.Namespace, seed: int) -> tuple:
    """Trains, fits a mixture, and draws; returns rows and processor seconds."""
    keras.config.disable_interactive_logging()
    keras.utils.set_random_seed(seed)
    began = time.process_time()
    batch = int(np.clip(2 ** int(np.log2(len(train) / 40)), 16, 128))
    steps = -(-len(train) // batch)
    epochs = -(-arguments.steps // steps)
    vae = kvae.VAE.for_data(
        train, arguments.latent_dim, objective=kvae.objectives.ELBO(arguments.beta)
    )
    rate = keras.optimizers.schedules.CosineDecay(1e-3, epochs * steps)
    vae.compile(keras.optimizers.Adam(rate), steps_per_execution=10)
    vae.fit(train, epochs=epochs, batch_size=batch, verbose=0)
    components = int(np.clip(len(train) // 100, 1, 50))
    vae = kvae.fit_prior(vae, train, "mixture", num_components=components)
    seconds = time.process_time() - began
    return vae.sample(len(train), seed=seed), seconds


def by_tvae(train: object, python: str, seed: int) -> tuple:
    """Does the same with TVAE, in its own environment."""
    schema = Schema.of(train)
    levels = [str(c.name) for c in schema.columns if c.levels]
    script = pathlib.Path(__file__).with_name("tables_tvae.py")
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    plain["OMP_NUM_THREADS"] = "1"  # waiting threads would count as processor time
    with tempfile.TemporaryDirectory() as folder:
        given, out = (f"{folder}/{name}.csv" for name in ("train", "drawn"))
        train.to_csv(given, index=False)
        done = subprocess.run(
            [python, str(script), given, out, "--num", str(len(train)), "--seed",
             str(seed), "--categorical", *levels],
            capture_output=True, text=True, check=True,
            env=plain,
        )  # fmt: skip
        rows = read_table(out)
    seconds = json.loads(done.stdout.splitlines()[-1])["seconds"]
    return rows.astype(train.dtypes.to_dict()), seconds


if __name__ == "__main__":
    main()
