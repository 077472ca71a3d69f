"""What is recorded for the comparison."""

from __future__ import annotations

import numpy as np
import pytest
from support import tiny_models

import kvae
from kvae.export.checks.parity_cases import real_inputs


def test_missing_entries_are_filled_for_encoders_without_a_mask() -> None:
    model = tiny_models.tiny_vae()
    x = tiny_models.pixels(5)
    mask = np.ones_like(x)
    mask[2, 1] = 0
    given = {"x": np.where(mask == 1, x, np.nan), "mask": mask}
    found = real_inputs(model, given, 5)
    np.testing.assert_array_equal(found["x"][mask == 1], x[mask == 1])
    np.testing.assert_allclose(found["z"], model.encode(given).mean(), atol=1e-6)


def test_a_completing_model_wants_the_visible_part() -> None:
    x = np.random.default_rng(0).integers(0, 2, (8, 4, 4)).astype("float32")
    model = kvae.presets.completing_vae(x, 2, "left_half", (4,), (8,))
    with pytest.raises(ValueError, match="given_visible"):
        real_inputs(model, x, 4)
