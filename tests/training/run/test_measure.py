"""The numbers of a run."""

import numpy as np
import pytest

from kvae.training.run.measure import _ratio


def test_the_error_of_a_ratio_is_that_of_repeated_samples() -> None:
    """Delta method against the spread over many draws of nats and counts together."""
    rng = np.random.default_rng(0)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        counts = rng.integers(1, 7, 400)
        return 2.0 * counts + rng.normal(size=400), counts

    found = [_ratio(*draw()) for _ in range(300)]
    spread = np.std([row["value"] for row in found])
    assert np.mean([row["standard_error"] for row in found]) == pytest.approx(
        spread, rel=5 / np.sqrt(2 * 300)
    )
