"""The wheel holds every package and data file that stands in the tree."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest

import kvae

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
MOUNTS: dict[str, str] = SETUPTOOLS["package-dir"]


def packages_on_disk() -> dict[str, Path]:
    """Every folder with an __init__.py, by the name that it is imported by."""
    return {
        ".".join([name, *init.parent.relative_to(ROOT / folder).parts]): init.parent
        for name, folder in MOUNTS.items()
        for init in (ROOT / folder).rglob("__init__.py")
        if not any(parent.is_symlink() for parent in init.parents)
    }


def test_every_package_on_disk_is_listed_in_pyproject() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages_on_disk())


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {
        file.parent
        for folder in MOUNTS.values()
        for file in (ROOT / folder).rglob("*.py")
        if not any(parent.is_symlink() for parent in file.parents)
    }
    assert folders == set(packages_on_disk().values())


def test_every_data_file_matches_a_package_data_pattern() -> None:
    covered = {
        file
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for file in (ROOT / MOUNTS[package]).glob(pattern)
    }
    data = {
        file
        for folder in MOUNTS.values()
        for file in (ROOT / folder).rglob("*")
        if file.is_file()
        and file.suffix not in {".py", ".pyc"}
        and not any(parent.is_symlink() for parent in file.parents)
    }
    assert data == covered
    assert ROOT / "kvae" / "py.typed" in data
    assert any(file.suffix == ".toml" for file in data)


def test_the_source_distribution_holds_what_stands_in_the_repository() -> None:
    """Each entry of the root is in MANIFEST.in, added by setuptools, or ignored."""
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    manifest = (ROOT / "MANIFEST.in").read_text()
    named = set(re.findall(r"[\w./-]+", re.sub(r"(?m)^#.*$", "", manifest)))
    added = {"LICENSE", "README.md", "pyproject.toml", *MOUNTS.values(), ".git"}
    missing = {
        path.name
        for path in ROOT.iterdir()
        if path.name not in ignored | named | added
        and path.suffix not in {".egg-info", ".pyc"}
    }
    assert missing <= {".github", "PKG-INFO", "setup.cfg"}
    for line in manifest.splitlines():
        if line.startswith(("graft", "include")):
            assert all((ROOT / name).exists() for name in line.split()[1:]), line


@pytest.mark.parametrize("folder", ["training", "export", "family"])
def test_link_points_at_the_top_level_folder(folder: str) -> None:
    link = ROOT / "kvae" / folder
    if not link.is_symlink():
        pytest.skip("this checkout has no symbolic links; the package mapping serves")
    assert link.resolve() == ROOT / folder
    assert not link.readlink().is_absolute()


def test_version_has_one_source() -> None:
    assert "version" not in PYPROJECT["project"]
    assert importlib.metadata.version("keras-vae") == kvae.__version__
    newest = re.search(
        r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    assert newest is not None
    assert newest.group(1) == kvae.__version__
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert cited is not None
    assert cited.group(1) == kvae.__version__


def test_extras_that_errors_and_readme_name_exist() -> None:
    extras = set(PYPROJECT["project"]["optional-dependencies"])
    named = {
        extra
        for file in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *sources()]
        for group in re.findall(r"keras-vae\[([\w,-]+)\]", file.read_text())
        for extra in group.split(",")
    }
    assert named <= extras


def sources() -> list[Path]:
    return [file for path in packages_on_disk().values() for file in path.glob("*.py")]


def test_the_command_starts_from_a_shipped_module() -> None:
    module, function = PYPROJECT["project"]["scripts"]["kvae"].split(":")
    assert module.split(".")[0] in SETUPTOOLS["packages"]
    file = ROOT / module.replace(".", "/")
    assert f"def {function}(" in file.with_suffix(".py").read_text()


def test_every_import_is_covered_by_a_declared_dependency() -> None:
    """No module outside the standard library is imported that no requirement brings."""
    brought_by = {
        "ai_edge_litert": "ai-edge-litert",
        "keras": "keras",
        "matplotlib": "matplotlib",
        "numpy": "numpy",
        "PIL": "pillow",
        "pyarrow": "pyarrow",
        "rich": "rich",
        "sklearn": "scikit-learn",
        "tensorflow": "tensorflow",
        "tensorflow_datasets": "tensorflow-datasets",
        "tensorflow_probability": "tensorflow-probability",
        "tensorflow_serving": "tensorflow-serving-api",
        "grpc": "tensorflow-serving-api",
    }
    extras = PYPROJECT["project"]["optional-dependencies"]
    requirements = [
        *PYPROJECT["project"]["dependencies"],
        *(r for extra, group in extras.items() if extra != "dev" for r in group),
    ]
    declared = {re.match(r"[\w-]+", r).group() for r in requirements}  # type: ignore[union-attr]
    wrong = []
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            wrong += [
                f"{file.relative_to(ROOT)} imports {name}"
                for name in names
                if (top := name.split(".")[0]) not in sys.stdlib_module_names
                and top not in ("kvae", "kvae_cli")
                and brought_by.get(top) not in declared
            ]
    assert not wrong
