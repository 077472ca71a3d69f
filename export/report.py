"""What an export reports."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from kvae.export.verification import table


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """The outcome of `export` or `verify`; `print(report)` shows it as a table.

    Attributes:
        directory: of the export.
        files: one record per artefact: "path", "kind", "precision", "batch",
            "signatures", "bytes", "limits".
        rows: one record per compared output; `kvae.export.verification.compare` names
            the fields.
        problems: damage and failures in words; empty if all is well.
        skipped: artefacts that could not be checked on this machine, and why.
        costs: one record per decoder file: what its precision costs in nats.
        seconds: how long it took.
    """

    directory: Path
    files: tuple[dict[str, Any], ...]
    rows: tuple[dict[str, Any], ...]
    problems: tuple[str, ...] = ()
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    costs: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether something was compared, and all of it was equal and undamaged."""
        good = all(row["ok"] for row in self.rows)
        return bool(self.rows) and good and not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        lists = {k: list(v) for k, v in fields.items() if isinstance(v, tuple)}
        return {**fields, **lists, "directory": str(self.directory), "ok": self.ok}

    def table(self) -> str:
        """The comparison as text, one line per output, then files and problems."""
        parts = [table(list(self.rows))] if self.rows else []
        parts += [
            f"{file['path']}: {file['precision']}, {file['bytes'] / 1024:.0f} KiB"
            for file in self.files
        ]
        parts += [f"not checked: {path}: {why}" for path, why in self.skipped.items()]
        parts += [f"FAILED: {problem}" for problem in self.problems]
        return "\n".join(parts)

    def __str__(self) -> str:
        return self.table()
