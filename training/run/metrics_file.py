"""The rows of a run's metrics.json: checked, because files may be damaged, and as text."""

from __future__ import annotations

from typing import Any

_NUMBER = (int, float, type(None))  # null if a number was not finite
_ROW: dict[str, Any] = {
    "value": _NUMBER,
    "standard_error": _NUMBER,
    "unit": str,
    "estimator": str,
    "num_samples": int,
    "num_examples": int,
}
_DECIMALS = {"bits_per_dim": 4}


def title(name: str) -> str:
    """The name of a number for people."""
    return "ELBO" if name == "elbo" else name.replace("_", " ")


def value_and_error(name: str, row: dict[str, Any]) -> str:
    """The value of a row, with its standard error if that is known."""
    value, error = row["value"], row["standard_error"]
    if value is None:
        return "nan"
    if error is None:
        return f"{value:g}"
    digits = _DECIMALS.get(name, 2)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def check_metrics(metrics: Any) -> None:
    """Checks the form of metrics.json.

    Args:
        metrics: from JSON.

    Raises:
        ValueError: with the first place that has another form.
    """
    _expect(metrics, dict, "the file")
    for key, part in metrics.items():
        _expect(part, dict, key)
        if key == "training":
            for name, value in part.items():
                _expect(value, _NUMBER, f"training.{name}")
        elif key == "test" or key.startswith("test_"):
            _check_rows(part, key)


def _check_rows(part: dict[str, Any], key: str) -> None:
    _expect(part.get("pixels"), str, f"{key}.pixels")
    rows = {name: row for name, row in part.items() if name != "pixels"}
    if not rows:
        raise ValueError(f"{key} doesn't hold numbers")
    for name, row in rows.items():
        _expect(row, dict, f"{key}.{name}")
        for field, kind in _ROW.items():
            _expect(row.get(field, []), kind, f"{key}.{name}.{field}")


def _expect(value: Any, kind: Any, where: str) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{where} is {value!r:.40}")
