"""What mkdocs changes in a page before it makes HTML of it."""

import ast
import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]

# [words](../path): files of the repository, which the site doesn't hold.
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(#[^)]*)?\)")

# A line of its own: a module whose public names are documented on the page.
_ALL_OF = re.compile(r"^all of (kvae(?:\.\w+)*)$", re.M)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Names the files that a page links to, and the members of a module."""
    markdown = _OUTSIDE.sub(lambda found: _shown(found[1], found[2]), markdown)
    return _ALL_OF.sub(lambda found: _members(found[1]), markdown)


def _shown(words: str, path: str) -> str:
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
