"""What mkdocs changes in a page before it makes HTML of it, and the notebooks beside it."""

import ast
import base64
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat

_ROOT = Path(__file__).parents[2]

# [words](../path): files of the repository, which the site doesn't hold.
_UPWARD = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(#[^)]*)?\)")

# A line of its own: a module whose public names are documented on the page.
_ALL_OF = re.compile(r"^all of (kvae(?:\.\w+)*)$", re.M)


# What a cell printed and drew, at the start of the text under it.
_PRINTED = re.compile(r"\A\s*```text\n(.*?)```\n?", re.S)
_DRAWN = re.compile(r"\A\s*!\[([^\]]*)\]\(([^)]+\.png)\)\n?")

# Pages with Python, as notebooks, by the name of the page.
_notebooks: dict[str, str] = {}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Names the files that a page links to, the members of a module, and the notebook."""
    source = Path(page.file.src_uri)
    markdown = _UPWARD.sub(lambda found: _link(found, source), markdown)
    if "```python" in markdown:
        name = "-".join(source.with_suffix("").parts)
        _notebooks[name] = _notebook(markdown, _ROOT / "docs" / source.parent)
        up = "../" * page.url.count("/")
        link = (
            f'<a href="{up}notebooks/{name}.ipynb" download>Download as a notebook</a>'
        )
        markdown = f"{markdown}\n\n{link}\n"
    return _ALL_OF.sub(lambda found: _members(found[1]), markdown)


def on_post_build(config: Any, **_: Any) -> None:
    """Writes the notebooks."""
    folder = Path(config.site_dir) / "notebooks"
    folder.mkdir(exist_ok=True)
    for name, text in _notebooks.items():
        (folder / f"{name}.ipynb").write_text(text, "utf-8")


def _notebook(markdown: str, folder: Path) -> str:
    """Python as cells with their output; what belongs into a shell, as text.

    Only tutorials show what their blocks print and draw.
    """
    cells = jupytext.reads(markdown.replace("```sh\n", "```console\n"), "md")
    cells.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    if folder.name == "tutorials":
        for code, below in zip(cells.cells, cells.cells[1:], strict=False):
            if code.cell_type == "code" and below.cell_type == "markdown":
                _move_output(code, below, folder)
        cells.cells = [cell for cell in cells.cells if cell.source]
    text: str = jupytext.writes(cells, "ipynb")
    return text


def _move_output(code: Any, below: Any, folder: Path) -> None:
    """Makes the output of a cell of the text below it, where it shows some."""
    printed = _PRINTED.match(below.source)
    if printed:
        code.outputs.append(nbformat.v4.new_output("stream", text=printed[1]))
        below.source = below.source[printed.end() :].lstrip()
    while drawn := _DRAWN.match(below.source):
        png = base64.b64encode((folder / drawn[2]).read_bytes()).decode()
        data = {"image/png": png, "text/plain": drawn[1]}
        code.outputs.append(nbformat.v4.new_output("display_data", data))
        below.source = below.source[drawn.end() :].lstrip()


def _link(found: re.Match[str], source: Path) -> str:
    """Keeps a link to a page or picture of the site; of others, shows the path."""
    target = (_ROOT / "docs" / source.parent / found[2]).resolve()
    if target.is_relative_to(_ROOT / "docs"):
        return found[0]
    words, path = found[1], target.relative_to(_ROOT).as_posix()
    bare = words.strip("`")
    return f"`{path}`" if bare == path else f"{words} (`{path}`)"


def _members(module: str) -> str:
    """The first sentence about a module, and a directive for each public name."""
    source = _ROOT / module.replace(".", "/") / "__init__.py"
    tree = ast.parse(source.read_text("utf-8"))
    names = [
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    ]
    sentence = re.split(r"(?<=[.:])\s", ast.get_docstring(tree) or "")[0]
    return "\n\n".join([sentence, *(f"::: {module}.{name}" for name in sorted(names))])
