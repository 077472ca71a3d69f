"""What every evaluation returns: a frozen record that prints as a table."""

from __future__ import annotations

import dataclasses
import html
import math
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number with its standard error, in the unit of the field that holds it.

    Attributes:
        value: the estimate.
        standard_error: its standard error; 0 where the number is exact, NaN where unknown.
    """

    value: float
    standard_error: float

    @classmethod
    def mean_of(cls, values: np.ndarray) -> Estimate:
        """The mean of independent values, with std / sqrt(N) as standard error."""
        values = np.asarray(values, "float64")
        error = (
            values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        )
        return cls(float(values.mean()), float(error))

    def to_dict(self) -> dict[str, float | None]:
        """Returns the two numbers by name, with None for NaN and infinity, as in JSON."""
        return {
            "value": _finite(self.value),
            "standard_error": _finite(self.standard_error),
        }

    def __str__(self) -> str:
        if math.isnan(self.standard_error):
            return f"{self.value:.4g}"
        if 0 <= self.standard_error < 1e-7:
            return f"{self.value:.6g} ± {self.standard_error:.1g}"
        digits = 2
        if self.standard_error < 1:
            digits = 1 - math.floor(math.log10(self.standard_error))
        return f"{self.value:.{digits}f} ± {self.standard_error:.{digits}f}"


@dataclasses.dataclass(frozen=True)
class Result:
    """Base of all results.

    Subclassing guide: declare frozen fields. Numbers, `Estimate`s, strings, and arrays
    of one value per example or per latent are printed and serialized automatically; a
    field's `metadata={"unit": ...}` is printed after its value.
    """

    def to_dict(self, arrays: bool = False) -> dict[str, Any]:
        """The fields as numbers, strings and lists that JSON can hold.

        Args:
            arrays: include arrays too; per-example values can be long.

        Returns:
            fields: by name. NaN and infinity become None.
        """
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            name: _plain(value, arrays)
            for name, value in fields.items()
            if arrays or not isinstance(value, np.ndarray)
        }

    def rows(self) -> list[tuple[str, str]]:
        """The table as pairs of name and value."""
        rows = []
        for field in dataclasses.fields(self):
            value, unit = getattr(self, field.name), field.metadata.get("unit", "")
            if isinstance(value, np.ndarray) or value is None or value == "":
                continue
            shown = _shown(value)
            rows.append((field.name.replace("_", " "), f"{shown} {unit}".rstrip()))
        return rows

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Subclasses keep this __repr__; that of `dataclass` would print whole arrays.
        cls.__repr__ = Result.__str__  # type: ignore[assignment]

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        cells = [
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self.rows()
        ]
        return f"<p><b>{type(self).__name__}</b></p><table>{''.join(cells)}</table>"

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        return "\n".join([type(self).__name__, *lines])


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, tuple):
        return " ".join(_shown(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(value: Any, arrays: bool) -> Any:
    if isinstance(value, (Estimate, Result)):
        return value.to_dict(arrays) if isinstance(value, Result) else value.to_dict()
    if isinstance(value, np.ndarray):
        return _plain(value.tolist(), arrays)
    if isinstance(value, (list, tuple)):
        return [_plain(item, arrays) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item, arrays) for key, item in value.items()}
    if isinstance(value, np.generic):
        return _plain(value.item(), arrays)
    return _finite(value) if isinstance(value, float) else value
