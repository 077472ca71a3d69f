"""Imports point one way: from the command line down to the maths."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kvae

ROOT = Path(__file__).parents[1]

# A unit may import itself and the units of the lines above its own; none beside it.
LAYERS: list[set[str]] = [
    {"core"},
    {"datasets", "maths", "noise", "schedules", "tables"},
    {"corruptions", "masks", "networks"},
    {"fitting", "likelihoods", "posteriors", "priors"},
    {"objectives"},
    {"completion"},
    {"series"},
    {"model"},
    {"presets"},
    {"kvae"},
    {"evaluation"},
    {"detection"},
    {"reports", "sklearn"},
    {"export.columns"},
    {
        "export.errors",
        "export.hub",
        "export.model_checks",
        "export.readme",
        "export.signatures",
    },
    {"export.checks"},
    {"export.targets"},
    {"export.serving"},
    {"export.export_model"},
    {"export"},
    {"export.explore"},
    {"training.config"},
    {"training.checkpoint", "training.data"},
    {"training.run"},
    {"training.encoding"},
    {"training"},
    {"training.commands"},
    {"family"},
    {"kvae_cli"},
]
HEIGHT = {unit: height for height, layer in enumerate(LAYERS) for unit in layer}
FOLDERS = {
    "kvae": "kvae",
    "kvae_cli": "kvae_cli",
    "kvae.training": "training",
    "kvae.export": "export",
    "kvae.family": "family",
}


def modules() -> dict[str, Path]:
    """Every module of the library by the name that it is imported by."""
    found = {}
    for name, folder in FOLDERS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            if not any(parent.is_symlink() for parent in file.parents):
                parts = file.relative_to(ROOT / folder).with_suffix("").parts
                module = ".".join([name, *(p for p in parts if p != "__init__")])
                found[module] = file
    return found


MODULES = modules()


def unit_of(module: str) -> str:
    """`kvae.priors.base` is of the unit `priors`, `kvae.training.run.x` of `training.run`.

    The tables of contents `kvae`, `kvae.training` and `kvae.export` are units themselves.
    """
    parts = module.split(".")
    if parts[0] == "kvae_cli" or len(parts) == 1:
        return parts[0]
    return ".".join(parts[1 : 3 if parts[1] in ("training", "export") else 2])


def imported(file: Path) -> set[str]:
    """Every kvae module that a file names in an import, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from kvae import VAE` reads a table of contents: a name, not a module.
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in named}
    return found & set(MODULES)


def test_every_unit_has_its_layer() -> None:
    assert {unit_of(module) for module in MODULES} == set(HEIGHT)


def test_modules_import_only_what_is_below_their_unit() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, file in MODULES.items()
        for name in sorted(imported(file))
        if unit_of(name) != unit_of(module)
        and HEIGHT[unit_of(name)] >= HEIGHT[unit_of(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_the_family() -> None:
    """The command line reaches it by its name, when its verb is called."""
    users = {
        unit_of(module)
        for module, file in MODULES.items()
        if any(unit_of(name) == "family" for name in imported(file))
    }
    assert users == {"family"}


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_is_refused_in_a_sentence(backend: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import kvae"],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: kvae runs on TensorFlow")
    assert f"backend '{backend}'" in last


@pytest.mark.slow
def test_import_kvae_brings_its_folders_when_they_are_asked_for() -> None:
    """Training a model pays for neither exports nor recipes, and `kvae.export` works."""
    program = (
        "import sys, kvae; "
        "lazy = {'kvae.detection', 'kvae.evaluation', 'kvae.export', 'kvae.reports', "
        "'kvae.training'}; "
        "assert not lazy & set(sys.modules), lazy & set(sys.modules); "
        "assert {name.split('.')[1] for name in lazy} <= set(dir(kvae)); "
        "kvae.detection.Detector, kvae.evaluation.elbo, kvae.export.export; "
        "kvae.reports.report; "
        "kvae.training.train; assert lazy <= set(sys.modules); "
        "assert not hasattr(kvae, 'trainer')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert kvae.evaluation.elbo.__module__ == "kvae.evaluation.elbo"
