"""Imports point one way: from the command line down to the maths."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A unit may import itself and the units of the lines above its own; none beside it.
LAYERS: list[set[str]] = [
    {"types"},
    {"checks", "maths"},
    {
        "array_batches",
        "inputs",
        "joined_steps",
        "metrics",
        "networks",
        "noise",
        "schedules",
    },
    {
        "batches",
        "conditions",
        "corruptions",
        "execution",
        "fit_data",
        "gradient_guard",
        "likelihoods",
        "masks",
        "posteriors",
        "priors",
        "replicas",
    },
    {"endpoints", "objectives"},
    {"kinds"},
    {"completion", "defaults", "density_model"},
    {"replicated_model"},
    {"trainable_model"},
    {"vae"},
    {"presets"},
    {"evaluation"},
    {"export"},
    {"training"},
    {"cli"},
]
HEIGHT = {unit: height for height, layer in enumerate(LAYERS) for unit in layer}


def unit_of(module: str) -> str:
    """`kvae.priors.base` is of the unit `priors`; `kvae` itself is above them all."""
    return module.split(".")[1] if "." in module else ""


def modules() -> dict[str, Path]:
    """Every module of the library by the name that it is imported by."""
    found = {}
    for name, folder in {
        "kvae": "kvae",
        "kvae.training": "training",
        "kvae.export": "export",
    }.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            if not any(parent.is_symlink() for parent in file.parents):
                parts = file.relative_to(ROOT / folder).with_suffix("").parts
                module = ".".join([name, *(p for p in parts if p != "__init__")])
                found[module] = file
    return found


MODULES = modules()


def imported(file: Path) -> set[str]:
    """Every kvae module that a file names in an import, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "kvae":
            # `from kvae import VAE` reads the table of contents: a name, not a module.
            found |= {
                f"kvae.{alias.name}" if f"kvae.{alias.name}" in MODULES else "kvae"
                for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name for name in found if name.split(".")[0] == "kvae"}


def test_every_unit_has_its_layer() -> None:
    units = {unit_of(module) for module in MODULES} - {""}
    assert units <= set(HEIGHT), "give the new unit its line in LAYERS"


@pytest.mark.parametrize("module", [m for m in MODULES if m != "kvae"])
def test_module_imports_only_what_is_below_its_unit(module: str) -> None:
    unit = unit_of(module)
    # The table of contents stands on all that it lists: it counts as the model itself.
    wrong = {
        name
        for name in imported(MODULES[module])
        if unit_of(name) != unit
        and HEIGHT[unit_of(name) or "evaluation"] >= HEIGHT[unit]
    }
    assert not wrong, f"{module} imports {sorted(wrong)}"


def test_table_of_contents_lists_and_does_nothing_else() -> None:
    """`kvae/__init__.py` is a docstring, imports and the version: no side effects."""
    body = ast.parse(MODULES["kvae"].read_text()).body
    statements = [n for n in body[1:] if not isinstance(n, ast.ImportFrom | ast.Import)]
    targets = [t.id for n in statements for t in getattr(n, "targets", [])]
    assert len(statements) == 1
    assert targets == ["__version__"]
    heavy = {unit_of(name) for name in imported(MODULES["kvae"])} & {
        "training",
        "export",
        "cli",
    }
    assert not heavy, "import kvae must not bring what only applications need"
