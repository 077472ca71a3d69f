"""House rules that hold in every file: documented, short, and free of one machine."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIMIT = 300

LIBRARY = [ROOT / "kvae_launcher.py"] + sorted(
    file
    for folder in ("kvae", "training", "export")
    for file in (ROOT / folder).rglob("*.py")
    if not any(parent.is_symlink() for parent in file.parents)
)
PYTHON = LIBRARY + sorted(
    file
    for folder in ("tests", "examples", "benchmarks")
    for file in (ROOT / folder).rglob("*.py")
)
TEXT = PYTHON + sorted(
    file
    for pattern in (
        "*.md",
        "*.toml",
        "docs/**/*.md",
        "training/**/*.toml",
        ".ci/*",
        "run",
    )
    for file in ROOT.glob(pattern)
    if file.is_file()
)

# Folders that exist on one machine and not on the next. /tmp is a promise of POSIX.
MACHINE_PATH = re.compile(
    r"(?<![\w.:/$}~-])/(?:work|home|root|Users|opt|mnt|data|srv)/[\w.-]+"
)


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def public_definitions(tree: ast.Module) -> list[ast.AST]:
    """Public functions and classes of a module, and public methods of those classes.

    A method that overrides a documented one may leave the words to it; which one does
    is not known from the text, so methods count only where their class has no base.
    """
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found: list[ast.AST] = []
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            found.append(node)
            if isinstance(node, ast.ClassDef) and not node.bases:
                found += [
                    child
                    for child in node.body
                    if isinstance(child, kinds) and not child.name.startswith("_")
                ]
    return found


@pytest.mark.parametrize("file", LIBRARY, ids=name)
def test_public_names_have_a_docstring_that_ends_its_first_sentence(file: Path) -> None:
    tree = ast.parse(file.read_text())
    wordless = [
        getattr(node, "name", "the module")
        for node in [tree, *public_definitions(tree)]
        if not (ast.get_docstring(node) or "")
        .split("\n\n")[0]
        .rstrip()
        .endswith((".", "?", "!", ":"))
    ]
    assert not wordless, f"{name(file)}: no docstring, or no full stop: {wordless}"


@pytest.mark.parametrize("file", PYTHON, ids=name)
def test_file_is_short_or_says_why_it_is_not(file: Path) -> None:
    text = file.read_text()
    lines = text.count("\n")
    docstring = ast.get_docstring(ast.parse(text)) or ""
    assert lines <= LIMIT or re.search(r"\blong\b|\bone file\b", docstring), (
        f"{name(file)} has {lines} lines: split it, or say at its top why it is long."
    )


@pytest.mark.parametrize("file", TEXT, ids=name)
def test_file_names_no_path_of_one_machine(file: Path) -> None:
    text = file.read_text()
    if file == Path(__file__):
        text = text.replace(MACHINE_PATH.pattern, "")
    assert not MACHINE_PATH.findall(text)


@pytest.mark.parametrize("file", LIBRARY, ids=name)
def test_file_does_not_unpickle_or_leave_safe_mode(file: Path) -> None:
    """Nothing that comes from a file is ever run as code."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
            assert not names & {"pickle", "cloudpickle", "dill", "joblib", "shelve"}
        if isinstance(node, ast.keyword) and node.arg in {"safe_mode", "allow_pickle"}:
            expected = node.arg == "safe_mode"
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is expected


def test_the_path_rule_finds_what_it_should() -> None:
    slash = "/"
    assert MACHINE_PATH.findall(f"open('{slash}home/ann/x')") == [f"{slash}home/ann"]
    assert not MACHINE_PATH.findall("https://example.org/home/ann and runs/data/x")
