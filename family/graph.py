"""Graphs of computation, drawn in one style."""

from __future__ import annotations

import dataclasses
import html
import re

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 104, 36, 34, 26, 10
_STYLES = {
    "data": ("#e3eefb", "#3b6ea5", 4),
    "random": ("#fff1dc", "#d98032", 18),
    "cost": ("#fbe3e0", "#c8452f", 4),
    "function": ("#eef1f4", "#5b6976", 4),
}


@dataclasses.dataclass(frozen=True)
class Graph:
    """A graph of computation, written as chains of nodes.

        Graph("[x] -> encoder -> (z) -> decoder -> {-log p(x|z)}", "[x] -> {-log p(x|z)}")

    `[x]` is data, `(z)` is drawn at random, `{cost}` is minimized, and everything else is
    a function. A node may appear in several chains.

    Attributes:
        chains: the chains.
    """

    chains: tuple[str, ...]

    def __init__(self, *chains: str) -> None:
        object.__setattr__(self, "chains", chains)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Pairs of nodes, in the order of the chains."""
        found = []
        for chain in self.chains:
            nodes = [node.strip() for node in re.split(r"\s->\s", chain)]
            found += list(zip(nodes, nodes[1:], strict=False))
        return list(dict.fromkeys(found))

    def places(self) -> dict[str, tuple[int, int]]:
        """Column and row of each node: a column is the longest way from a start.

        Raises:
            ValueError: if the chains form a cycle.
        """
        edges = self.edges
        column = {node: 0 for edge in edges for node in edge}
        for _ in range(len(column) + 1):
            moved = False
            for start, end in edges:
                if column[end] < column[start] + 1:
                    column[end], moved = column[start] + 1, True
            if not moved:
                break
        else:
            raise ValueError(f"a graph of computation has no cycles; received {self}.")
        used: dict[int, int] = {}
        found = {}
        for node in column:
            row = used.get(column[node], 0)
            found[node] = (column[node], row)
            used[column[node]] = row + 1
        return found

    def svg(self) -> str:
        """Draws the graph."""
        places = self.places()
        columns = 1 + max(column for column, _ in places.values())
        rows = 1 + max(row for _, row in places.values())
        lift = 30 if any(self._skips(places, *edge) for edge in self.edges) else 0
        width = columns * (_WIDTH + _GAP_X) - _GAP_X + 2 * _MARGIN
        height = lift + rows * (_HEIGHT + _GAP_Y) - _GAP_Y + 2 * _MARGIN
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="system-ui, sans-serif" '
            'font-size="12" text-anchor="middle">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#5b6976"/>'
            "</marker></defs>",
        ]
        parts += [self._edge(places, lift, *edge) for edge in self.edges]
        parts += [_node(node, *_corner(place, lift)) for node, place in places.items()]
        return "".join([*parts, "</svg>"])

    @staticmethod
    def _skips(places: dict[str, tuple[int, int]], start: str, end: str) -> bool:
        """Whether an edge would run through the nodes between its ends."""
        (left, row), (right, other) = places[start], places[end]
        between = {place for place in places.values() if left < place[0] < right}
        return row == other == 0 and any(place[1] == 0 for place in between)

    def _edge(
        self, places: dict[str, tuple[int, int]], lift: int, start: str, end: str
    ) -> str:
        x, y = _corner(places[start], lift)
        u, v = _corner(places[end], lift)
        if self._skips(places, start, end):
            x, u = x + _WIDTH / 2, u + _WIDTH / 2
            path = f"M{x} {y} C{x + 20} {y - 34} {u - 20} {v - 34} {u} {v - 1}"
        elif places[start][1] > places[end][1] and u - x > _WIDTH + _GAP_X:
            # From a lower row past other nodes: between the rows, and up from below.
            x, y, u = x + _WIDTH, y + _HEIGHT / 2, u + _WIDTH / 2
            v += _HEIGHT
            lane = v + _GAP_Y / 2
            path = (
                f"M{x} {y} C{x + 20} {y} {x} {lane} {x + 20} {lane} H{u - 20} "
                f"C{u} {lane} {u} {lane} {u} {v + 1}"
            )
        else:
            x, y, v = x + _WIDTH, y + _HEIGHT / 2, v + _HEIGHT / 2
            middle = (x + u) / 2
            path = f"M{x} {y} C{middle} {y} {middle} {v} {u - 1} {v}"
        return (
            f'<path d="{path}" fill="none" stroke="#5b6976" stroke-width="1.3" '
            'marker-end="url(#tip)"/>'
        )


def _corner(place: tuple[int, int], lift: int) -> tuple[float, float]:
    column, row = place
    return (
        _MARGIN + column * (_WIDTH + _GAP_X),
        _MARGIN + lift + row * (_HEIGHT + _GAP_Y),
    )


def _node(name: str, x: float, y: float) -> str:
    kinds = {"[": "data", "(": "random", "{": "cost"}
    ends = {"[": "]", "(": ")", "{": "}"}
    kind = kinds.get(name[0], "function") if name[-1] == ends.get(name[0]) else ""
    text = name[1:-1] if kind in kinds.values() else name
    fill, stroke, radius = _STYLES[kind or "function"]
    # Long words are squeezed, so that every node has the same size.
    fit = f' textLength="{_WIDTH - 8}" lengthAdjust="spacingAndGlyphs"'
    squeeze = fit if len(text) > 16 else ""
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="{radius}" '
        f'fill="{fill}" stroke="{stroke}"/><text x="{x + _WIDTH / 2}" '
        f'y="{y + _HEIGHT / 2 + 4}" fill="#1c2733"{squeeze}>{html.escape(text)}</text>'
    )
