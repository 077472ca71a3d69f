"""The report of an export."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from kvae.export.checks.verification import columns, table


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """The outcome of `export` or `verify`; `print(report)` shows it as a table.

    Attributes:
        directory: of the export.
        files: one record per artifact: "path", "kind", "precision", "batch",
            "signatures", "bytes", "limits".
        rows: one record per compared output, with the fields that
            `kvae.export.checks.verification.compare` names.
        problems: damage and failures in words; empty if all is well.
        skipped: artifacts that could not be checked on this machine, and why.
        refused: endpoints that LiteRT cannot run for this model, and why.
        seconds: how long it took.
    """

    directory: Path
    files: tuple[dict[str, Any], ...]
    rows: tuple[dict[str, Any], ...]
    problems: tuple[str, ...] = ()
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether something was compared, and everything was equal and undamaged."""
        good = all(row["ok"] for row in self.rows)
        return bool(self.rows) and good and not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        lists = {k: list(v) for k, v in fields.items() if isinstance(v, tuple)}
        return {**fields, **lists, "directory": str(self.directory), "ok": self.ok}

    def summary(self) -> str:
        """The outcome in one line: how many checks passed, and the worst of them."""
        passed = sum(row["ok"] for row in self.rows)
        text = f"{passed} of {len(self.rows)} checks passed"
        compared = [row for row in self.rows if row["limit"] and "max" in row]
        if compared:
            worst = max(
                compared, key=lambda row: row["max"] / (row["limit"] * row["unit"])
            )
            limit = worst["limit"] * worst["unit"]
            text += f", worst {worst['max']:.1e} of {limit:.1e}"
        left = [
            *(f"no {name} in LiteRT" for name in self.refused),
            *(f"{path} not checked" for path in self.skipped),
            *self.problems,
        ]
        return "; ".join([text, *left])

    def table(self) -> str:
        """The comparison as text, one line per output, then files and problems."""
        parts = [table(list(self.rows))] if self.rows else []
        parts.append(_sizes(self.files, self.rows))
        parts += [
            f"{name} is not in LiteRT: {why}" for name, why in self.refused.items()
        ]
        parts += [f"not checked: {path}: {why}" for path, why in self.skipped.items()]
        parts += [f"FAILED: {problem}" for problem in self.problems]
        return "\n".join(parts)

    def __str__(self) -> str:
        return self.table()


def _sizes(files: tuple[dict[str, Any], ...], rows: tuple[dict[str, Any], ...]) -> str:
    """Tabulates size, pixel difference, cost in nats and speed of each file."""
    title = ("file", "KiB", "pixels", "distortion", "ELBO change, nats")
    lines = [(*title, "budget", "us/image", "outside XNNPACK")]
    for file in files:
        size = f"{file['bytes'] / 1024:.0f}"
        gaps = [
            row["max"]
            for row in rows
            if row["file"] == file["path"] and row["output"] in ("mean", "x")
            if "max" in row
        ]
        images = f"{max(gaps):.1e}" if gaps else ""
        cost = file.get("cost")
        if cost is None:
            lines.append((file["path"], size, images, "", "", "", "", ""))
            continue
        keeps = "kept" if cost["within_budget"] else "EXCEEDED"
        lines.append(
            (
                file["path"],
                size,
                images,
                f"{cost['distortion_change']:+.4f}",
                f"{cost['elbo_change']:+.4f} of {cost['elbo']:.2f}",
                f"{cost['budget']:.3g} {keeps}",
                f"{cost['microseconds']:.0f}",
                _outside(file["outside_xnnpack"]),
            )
        )
    return columns(lines)


def _outside(operations: dict[str, list[str]]) -> str:
    """Lists operations of the networks; the noise of the others never runs in XNNPACK."""
    networks = ("decode", "encode", "reconstruct")
    shown = [
        f"{name}: {', '.join(dict.fromkeys(operations[name]))}"
        for name in networks
        if operations.get(name)
    ]
    return "; ".join(shown) or "nothing"
