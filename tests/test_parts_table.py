"""The table of parts: nothing is missing, no paper and no test is made up."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import kvae

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/parts.md"
MODULES = {
    "Likelihoods": kvae.likelihoods,
    "Posteriors": kvae.posteriors,
    "Priors": kvae.priors,
    "Objectives": kvae.objectives,
    "Schedules": kvae.schedules,
    "Networks": kvae.networks,
    "Corruptions": kvae.corruptions,
}
COMPLETE = [kind for kind in MODULES if kind != "Networks"]
ARXIV = re.compile(r"arXiv:\d{4}\.\d{5}")


def sections() -> dict[str, dict[str, list[str]]]:
    """Of each section: the cells of each row, by the name of the part."""
    found: dict[str, dict[str, list[str]]] = {}
    kind = ""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            kind = line[3:]
            found[kind] = {}
        elif line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            name = cells[0].strip("`")
            assert name not in found[kind], f"{name} has two rows"
            found[kind][name] = cells[1:]
    return found


SECTIONS = sections()
ROWS = [(kind, name) for kind, rows in SECTIONS.items() for name in rows]


def functions_of(file: Path) -> set[str]:
    """The names of the functions of a file, which is read and not run."""
    body = ast.parse(file.read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("kind", COMPLETE)
def test_every_public_part_has_a_row_and_nothing_else_has(kind: str) -> None:
    public = {
        name
        for name, cls in vars(MODULES[kind]).items()
        if inspect.isclass(cls) and not inspect.isabstract(cls)
    }
    extra = {"fit_mixture"} if kind == "Priors" else set()
    assert set(SECTIONS[kind]) == public | extra


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_row_has_a_formula_a_source_and_tests_that_exist(kind: str, name: str) -> None:
    formula, source, tests = SECTIONS[kind][name]
    assert formula
    assert source
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    for test in named:
        path, _, function = test.partition("::")
        assert (ROOT / path).is_file(), f"{path} is not a file"
        assert function.startswith("test_"), f"{test} is not a test"
        assert function in functions_of(ROOT / path), f"{path} has no {function}"


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_row_cites_what_the_docstring_cites(kind: str, name: str) -> None:
    docstring = inspect.getdoc(getattr(MODULES[kind], name)) or ""
    _, _, source = docstring.partition("\nSource: ")
    row = SECTIONS[kind][name][1]
    # A paper that is named only to tell it apart stands in brackets.
    cited = set(ARXIV.findall(re.sub(r"\(not .*?\)", "", source, flags=re.S)))
    assert set(ARXIV.findall(row)) == cited
    assert (row == "-") == (not source)
