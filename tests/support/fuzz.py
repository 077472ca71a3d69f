"""What the tests by Hypothesis have in common: the same cases in every run, no files."""

from typing import Any

from hypothesis import HealthCheck, Phase

SETTINGS: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate],
}
