"""`kvae family`: trains every model of the family on the same data, for one page."""

from __future__ import annotations

import json
import logging
import pathlib
import time
from typing import Any

import keras
import numpy as np

from kvae.core.atomic import make_folder, write_json
from kvae.core.errors import UserError, user_errors
from kvae.core.extras import require
from kvae.core.quiet import quiet
from kvae.family.measure import Pictures, measure, read_result
from kvae.family.members import MEMBERS, make
from kvae.family.page import numbers, write_page
from kvae.training.data.sources import DataSet, load_data

_LOG = logging.getLogger("kvae")
_SHARES = {  # of the time, between digits and MNIST; their sum doesn't matter
    "pca": 3,
    "factor_analysis": 3,
    "autoencoder": 3,
    "denoising_autoencoder": 3,
    "sparse_autoencoder": 3,
    "k_sparse_autoencoder": 3,
    "contractive_autoencoder": 2,
    "rbm": 10,
    "rbm_cd": 10,
    "gsn": 25,
    "gan": 30,
    "sum_product_network": 25,
    "ladder_network": 25,
    "vae": 18,
    "conditional_vae": 22,
}


def run(
    data: str,
    out: pathlib.Path,
    data_dir: str | None = None,
    only: str | None = None,
    seed: int = 0,
    steps: float = 1.0,
) -> None:
    """Trains and measures the models, and writes a page; skips what is there already.

    Args:
        data: a source of gray pictures with labels, such as "digits" or "mnist".
        out: the folder to create, or to resume.
        data_dir: where TFDS keeps its data.
        only: names of models, separated by commas; all if None.
        seed: of everything.
        steps: factor of the steps of training.

    Raises:
        UserError: for an unknown model, unsuitable data, or a folder of something else.
    """
    require("sklearn", "kvae family")
    require("matplotlib", "kvae family")
    names = list(MEMBERS) if only is None else only.split(",")
    for name in names:
        make(name)  # an unknown one fails before anything is trained
    out = out.expanduser()
    if out.absolute() == pathlib.Path(data).expanduser().absolute():
        raise UserError(
            f"--out {out} would be taken for the data by the next call; choose another "
            "--out."
        )
    loaded = load_data(data, data_dir)
    _check(loaded)
    with user_errors():
        _open(out, {"data": data, "seed": seed, "steps": steps})
    _LOG.info("%s: pixels above 1/2 count as 1, all others as 0", loaded.name)
    command = f"kvae family --data {data} --out {out}"
    command += f" --seed {seed}" if seed else ""
    command += f" --steps {steps:g}" if steps != 1 else ""
    compare(loaded, out, names, seed, steps, command)


def compare(
    loaded: DataSet,
    out: pathlib.Path,
    names: list[str],
    seed: int,
    steps: float,
    command: str,
) -> None:
    """Trains and measures models, and writes the page of all that `out` holds.

    Args:
        loaded: the data.
        out: the folder, which exists.
        names: of the models.
        seed: of everything.
        steps: factor of the steps of training.
        command: that does the same, for the page.
    """
    keras.utils.set_random_seed(seed)
    pictures = Pictures.of(loaded, seed)
    began, done = time.monotonic(), 0.0
    missing = [n for n in names if not (out / n / "result.json").is_file()]
    for i, name in enumerate(missing):
        _train(name, pictures, out, seed, steps)
        done += _SHARES[name]
        left = sum(_SHARES[later] for later in missing[i + 1 :])
        seconds = (time.monotonic() - began) / done * left
        result, _ = read_result(out / name)
        _LOG.info(
            "%d of %d: %s, %.0f s; about %s left",
            len(names) - len(missing) + i + 1,
            len(names),
            result["title"],
            result["seconds"],
            f"{seconds / 60:.0f} minutes" if seconds > 90 else f"{seconds:.0f} seconds",
        )
    # Whatever the folder holds is shown, in the order of the table.
    results = {
        name: read_result(out / name)
        for name in MEMBERS
        if (out / name / "result.json").is_file()
    }
    total = sum(result["seconds"] for result, _ in results.values())
    facts = {
        "data": loaded.name,
        "training pictures": len(pictures.train),
        "test pictures": len(pictures.test),
        "features": pictures.features.name,
        "seconds, all models": f"{total:.0f}",
        "seed": seed,
        "command": command,
    }
    write_page(out / "family.html", pictures, results, facts)
    _print(*numbers(pictures, results))
    print(f"\nThe page is {out / 'family.html'}")


def _train(
    name: str, pictures: Pictures, out: pathlib.Path, seed: int, steps: float
) -> None:
    keras.utils.set_random_seed(seed)
    model = make(name, seed=seed)
    model.num_steps = round(model.num_steps * steps)
    folder = out / name
    make_folder(folder)
    with quiet("tensorflow"):  # says that every model has graphs of its own
        measure(model, pictures, folder)
    keras.backend.clear_session()


def _open(out: pathlib.Path, settings: dict[str, Any]) -> None:
    """Makes the folder, or checks that it holds the same comparison."""
    file = out / "family.json"
    if not file.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(
                f"{out} exists and holds something else; choose another --out."
            )
        make_folder(out)
        write_json(file, settings)
        return
    found = json.loads(file.read_text(encoding="utf-8"))
    if found != settings:
        raise UserError(
            f"{out} holds a comparison with {found}; received {settings}. Choose another "
            "--out."
        )


def _check(data: DataSet) -> None:
    if (
        len(data.shape) != 3
        or data.shape[-1] != 1
        or any(s % 4 for s in data.shape[:2])
    ):
        raise UserError(
            "kvae family takes gray pictures whose height and width are multiples of 4; "
            f"{data.name} has examples of shape {data.shape}."
        )
    if data.train_labels is None or data.test_labels is None:
        raise UserError(f"kvae family needs labels, which {data.name} doesn't have.")
    if data.pixel_range != (0.0, 1.0) or not isinstance(data.train, np.ndarray):
        raise UserError(
            f"kvae family takes pixels from 0 to 1, in memory; those of {data.name} range "
            f"over {data.pixel_range}."
        )


def _print(header: list[str], rows: list[list[str]]) -> None:
    """Prints the table, its columns aligned."""
    shown = [0, 1, 2, 3, 6, 7]
    table = [[row[i] for i in shown] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in table) for i in range(len(shown))]
    for row in table:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())
