"""The HTML of a report: headings, tables and pictures in one file."""

from __future__ import annotations

import base64
import html
from typing import Any

from kvae.evaluation.result import Result

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff;
  max-width: 60rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; padding-bottom: .25rem;
  border-bottom: 1px solid #d5dde5; }
h3 { font-size: 1rem; margin: 1.6rem 0 .2rem; }
p { margin: .2rem 0 .6rem; color: #44525f; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.card { border: 1px solid #d5dde5; border-radius: .5rem; padding: .6rem .9rem; }
.card b { display: block; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
.card span { color: #5b6976; font-size: .85rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td { border-bottom: 1px solid #e8edf2; padding: .28rem .5rem; vertical-align: top; }
td:first-child { color: #5b6976; width: 16rem; }
td:last-child { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
th { text-align: left; padding: .28rem .5rem; border-bottom: 2px solid #d5dde5; }
.grid td { font-variant-numeric: tabular-nums; }
tr.warning td { background: #fff4e0; color: #6d4500; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; image-rendering: auto; }
figcaption { color: #5b6976; font-size: .88rem; }
"""


class Page:
    """Collects the parts of a page.

    Args:
        title: of the page.
    """

    def __init__(self, title: str) -> None:
        self.title = str(title)
        self._parts: list[str] = []

    def facts(self, numbers: list[tuple[str, str]], metadata: dict[str, Any]) -> None:
        """Adds the numbers that matter most, and a table of facts about the run."""
        cards = "".join(
            f'<div class="card"><b>{html.escape(value)}</b>'
            f"<span>{html.escape(name)}</span></div>"
            for name, value in numbers
        )
        self._parts.append(f'<div class="cards">{cards}</div>')
        if metadata:
            rows = [(str(name), str(value)) for name, value in metadata.items()]
            self._parts.append(_table(rows))

    def section(self, heading: str) -> None:
        """Starts a section."""
        self._parts.append(f"<h2>{html.escape(heading)}</h2>")

    def table(self, heading: str, result: Result, sentence: str = "") -> None:
        """Adds a result as a table; its warning stands out."""
        self._parts.append(f"<h3>{html.escape(heading)}</h3>")
        if sentence:
            self._parts.append(f"<p>{html.escape(sentence)}</p>")
        self._parts.append(_table(result.rows()))

    def text(self, sentence: str) -> None:
        """Adds a paragraph."""
        self._parts.append(f"<p>{html.escape(sentence)}</p>")

    def grid(self, header: list[str], rows: list[list[str]]) -> None:
        """Adds a table with a column for each thing that is compared."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        self._parts.append(f'<table class="grid"><tr>{head}</tr>{body}</table>')

    def picture(self, png: bytes, caption: str) -> None:
        """Adds a picture with its caption, which is also what a screen reader says."""
        self._figure("image/png", png, caption)

    def drawing(self, svg: str, caption: str) -> None:
        """Adds a drawing with its caption, which is also what a screen reader says."""
        self._figure("image/svg+xml", svg.encode(), caption)

    def _figure(self, kind: str, content: bytes, caption: str) -> None:
        data = base64.b64encode(content).decode("ascii")
        said = html.escape(caption, quote=True)
        self._parts.append(
            f'<figure><img alt="{said}" src="data:{kind};base64,{data}">'
            f"<figcaption>{said}</figcaption></figure>"
        )

    def html(self) -> str:
        """The page."""
        title = html.escape(self.title)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{_STYLE}</style></head>\n"
            f"<body><h1>{title}</h1>\n" + "\n".join(self._parts) + "\n</body></html>\n"
        )


def _table(rows: list[tuple[str, str]]) -> str:
    style = {"warning": ' class="warning"'}
    body = "".join(
        f"<tr{style.get(name, '')}>"
        f"<td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{body}</table>"
