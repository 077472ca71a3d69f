"""House rules that hold in every file: documented, short, and free of one machine."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT = 400

LIBRARY = sorted(
    file
    for folder in ("kvae", "kvae_cli", "training", "export", "family")
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


def test_public_names_have_a_docstring_that_ends_its_first_sentence() -> None:
    wordless = [
        f"{name(file)}: {getattr(node, 'name', 'the module')}"
        for file in LIBRARY
        for tree in [ast.parse(file.read_text())]
        for node in [tree, *public_definitions(tree)]
        if not (ast.get_docstring(node) or "")
        .split("\n\n")[0]
        .rstrip()
        .endswith((".", "?", "!", ":"))
    ]
    assert not wordless, "no docstring, or no full stop:\n" + "\n".join(wordless)


def test_files_are_short_or_say_why_they_are_not() -> None:
    long = [
        f"{name(file)}: {lines} lines"
        for file in PYTHON
        for text in [file.read_text()]
        if (lines := text.count("\n")) > LIMIT
        and not re.search(
            r"\blong\b|\bone (file|page)\b", ast.get_docstring(ast.parse(text)) or ""
        )
    ]
    assert not long, "split it, or say at its top why it is long:\n" + "\n".join(long)


def test_files_name_no_path_of_one_machine() -> None:
    found = {
        name(file): MACHINE_PATH.findall(text)
        for file in TEXT
        for text in [file.read_text()]
        if MACHINE_PATH.search(
            text.replace(MACHINE_PATH.pattern, "") if file == Path(__file__) else text
        )
    }
    assert not found


def unsafe(file: Path) -> list[str]:
    """Imports and arguments with which a file of data could be run as code."""
    wrong = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
            wrong += names & {"pickle", "cloudpickle", "dill", "joblib", "shelve"}
        if isinstance(node, ast.keyword) and node.arg in {"safe_mode", "allow_pickle"}:
            safe = node.arg == "safe_mode"
            if getattr(node.value, "value", None) is not safe:
                wrong.append(node.arg)
    return wrong


def test_nothing_that_comes_from_a_file_is_run_as_code(tmp_path: Path) -> None:
    assert not {name(file): found for file in LIBRARY if (found := unsafe(file))}
    bad = tmp_path / "bad.py"
    bad.write_text("import pickle\nf(allow_pickle=True, safe_mode=x)\n")
    assert sorted(unsafe(bad)) == ["allow_pickle", "pickle", "safe_mode"]


def test_the_path_rule_finds_what_it_should() -> None:
    slash = "/"
    assert MACHINE_PATH.findall(f"open('{slash}home/ann/x')") == [f"{slash}home/ann"]
    assert not MACHINE_PATH.findall("https://example.org/home/ann and runs/data/x")
