"""The change test: a new part, source or target is its own file, and works everywhere.

First with throw-away parts of every kind, in a package that kvae has never seen. Then with
parts of kvae itself, in a copy of the tree: docs/extending.md names the places to change,
and nothing else may have to be.
"""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kvae
import kvae.export
import kvae.training
from kvae.training.data import sources

ROOT = Path(__file__).parents[1]

PARTS = ROOT / "tests/support/throwaway"


@pytest.fixture(scope="module")
def throwaway(tmp_path_factory):
    """A package of a part of each kind; gone again after the tests."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(PARTS, folder / "throwaway")
    sys.path.insert(0, str(folder))
    yield lambda name: importlib.import_module(f"throwaway.{name}")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == "throwaway"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def data(throwaway):
    source = throwaway("source").WaitingTimes()
    sources.SOURCES.insert(0, source)
    try:
        return kvae.training.load_data("waits:120", validation=20)
    finally:
        sources.SOURCES.remove(source)


@pytest.fixture(scope="module")
def vae(throwaway, data):
    model = kvae.VAE.for_data(
        data.train,
        2,
        encoder=kvae.networks.mlp((4,), (8,), "tanh"),
        decoder=kvae.networks.mlp((2,), (8,), "tanh", role="decoder"),
        posterior=throwaway("posterior").HalfWide(2),
        likelihood=throwaway("likelihood").Waits((4,)),
        prior=throwaway("prior").DataWide(2),
        objective=throwaway("objective").Tame(kvae.objectives.ELBO(kl="sampled")),
        seed=0,
    )
    assert float(model.prior.s) == pytest.approx(data.train.std())
    model.compile(keras.optimizers.Adam(1e-2))
    return model


def test_a_source_is_split_and_checked_like_those_of_kvae(data):
    assert [len(part) for part in (data.train, data.validation, data.test)] == [
        76,
        20,
        24,
    ]
    assert data.pixel_range[1] > 1
    with pytest.raises(kvae.training.UserError, match="waits:120"):
        kvae.training.load_data("waits:120")  # nothing of it stays behind


@pytest.mark.slow
def test_new_parts_train_save_load_and_stop_by_what_they_monitor(vae, data, tmp_path):
    stop = keras.callbacks.EarlyStopping(
        f"val_{vae.objective.monitor}", mode=vae.objective.monitor_mode, patience=9
    )
    fit = {"validation_data": data.validation, "epochs": 3, "verbose": 0}
    history = vae.fit(data.train, callbacks=[stop], **fit).history
    assert stop.best == min(history["val_loss"]) == history["val_loss"][-1]
    vae.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    assert type(again.prior).__module__ == "throwaway.prior"
    np.testing.assert_array_equal(again.sample(5, seed=1), vae.sample(5, seed=1))
    np.testing.assert_array_equal(again.elbo(data.test), vae.elbo(data.test))


def test_a_target_is_written_run_and_compared(vae, data, throwaway, tmp_path):
    target = throwaway("target").Arrays()
    out = tmp_path / "out"
    arguments = {"targets": [target], "allow_untrained": True}
    report = kvae.export.export(vae, out, data.test, **arguments)
    compared = {(row["signature"], row["output"]) for row in report.rows}
    assert compared == {("decode", "log_rate"), ("decode", "mean")}
    assert all(row["ok"] and row["batches"] == [1, 3, 16] for row in report.rows)
    assert kvae.export.verify(out, {target.kind: out / "run_arrays.py"}).ok
    # A program that came with the files runs only where it is named.
    assert (
        "--runner arrays=run_arrays.py"
        in kvae.export.verify(out).skipped["decoder.npz"]
    )


def test_a_target_that_computes_something_else_is_not_written(vae, throwaway, tmp_path):
    target = throwaway("target").Arrays()
    target.runner = tmp_path / "run_wrong.py"
    target.runner.write_text(
        (PARTS / "run_arrays.py").read_text().replace("np.tanh", "np.arctan")
    )
    with pytest.raises(kvae.export.ParityFailed, match=r"decode\.mean .* FAILED"):
        kvae.export.export(
            vae, tmp_path / "out", targets=[target], allow_untrained=True
        )
    assert [path.name for path in tmp_path.iterdir()] == ["run_wrong.py"]


# === In kvae itself: a copy of the tree, the places of the documentation, nothing else ===

COPIED = ("kvae", "kvae_cli", "training", "export", "family", "tests", "docs")
KINDS = {  # by the kind's folder: the class, and the arguments of its specimen
    "priors": ("DataWide", '{"latent_dim": 3}, independent=True'),
    "posteriors": ("HalfWide", '{"latent_dim": 3}, independent=True'),
    "likelihoods": (
        "Waits",
        '{"data_shape": (4,)}, lambda rng, num: rng.exponential(size=(num, 4))',
    ),
    "objectives": ("Tame", "{}"),
}


RECIPES_KNOW_IT = """
from kvae.training import make_part

def test_it():
    made = make_part("prior", "data_wide", {"latent_dim": 3})
    assert type(made).__module__ == "kvae.priors.datawide"
"""


def places(kind):
    """The files that docs/extending.md tells to touch, for the new part of a kind."""
    text = (ROOT / "docs/extending.md").read_text()
    block = re.search(r"change these \w+ places.*?```text\n(.*?)```", text, re.S)[1]
    new = {"priors": kind, "prior_": f"{kind[:-1]}_"}
    new["two_normals"] = KINDS[kind][0].lower()
    named = [line.split()[0] for line in block.splitlines()]
    for old, text in new.items():
        named = [place.replace(old, text) for place in named]
    return named


def add(tree, kind):
    """Adds a part of this kind to a copy of kvae: a step for each of its places."""
    source, init, specimens, test, rows = (tree / place for place in places(kind))
    name, arguments = KINDS[kind]
    text = (PARTS / f"{kind[:-1]}.py").read_text().replace("throwaway", "kvae")
    text = re.sub(r"from kvae\.\w+ import (\w+)", rf"from kvae.{kind} import \1", text)
    home = "wrapper" if "import Wrapper" in text else "base"
    source.write_text(text.replace(f"kvae.{kind} import", f"kvae.{kind}.{home} import"))
    yield
    with init.open("a") as file:
        file.write(f"from kvae.{kind}.{source.stem} import {name} as {name}\n")
    yield
    made = specimens.read_text().rstrip().removesuffix("]")
    made = made.replace("\nfrom kvae", f"\nimport kvae.{kind}\nfrom kvae", 1)
    made += f"    Specimen(kvae.{kind}.{name}, {arguments}),\n]\n"
    specimens.write_text(made)
    yield
    test.write_text(RECIPES_KNOW_IT if kind == "priors" else "def test_it(): pass\n")
    yield
    title = f"## {kind.title()}\n"
    row = f"| `{name}` | `f` | - | `{test.relative_to(tree)}::test_it` |\n"
    rows.write_text(rows.read_text().replace(title, f"{title}\n{row}", 1))
    yield


def run(tree, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_part_of_kvae_itself_touches_the_documented_places_and_no_other(tmp_path):
    tree = tmp_path / "copy"
    for folder in COPIED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tree / folder, symlinks=True, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tree)
    check = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    guards = ("tests/test_parts_table.py", "tests/conformance/test_specimens.py")

    steps = [add(tree, kind) for kind in KINDS]
    for step in steps:  # the class and its line in __init__
        next(step)
        next(step)
    said = run(tree, *check, *guards)
    for kind in KINDS:  # tests ask for what is not there yet
        assert f"has_a_specimen[{kind[:-1]}]" in said, said
        assert f"has_a_row_and_nothing_else_has[{kind.title()}]" in said, said

    assert [len(list(step)) for step in steps] == [3, 3, 3, 3]  # the other places
    rules = ("tests/test_architecture.py", "tests/test_source.py")
    laws = [f"tests/conformance/test_{law}.py" for law in ("densities", "training")]
    mine = [name for name, _ in KINDS.values()]
    chosen = " or ".join([*mine, "test_it", "parts_table", "specimens", "source"])
    chosen += " or (architecture and not backend and not brings)"  # new processes
    tests = [places(kind)[3] for kind in KINDS]
    said = run(tree, *check, *guards, *rules, *laws, *tests, "-k", chosen)
    assert re.search(r"\d+ passed", said), said
    assert "failed" not in said, said
