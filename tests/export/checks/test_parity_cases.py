"""What is recorded for the comparison, and at how many rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import tiny_models

import kvae
import kvae.export
from kvae.export.checks.parity_cases import real_inputs


@pytest.mark.slow
def test_a_batch_larger_than_usual_is_compared_whole(tmp_path: Path) -> None:
    model = tiny_models.tiny_vae()
    x = tiny_models.pixels(300)
    model.compile()
    model.fit(x, verbose=0)
    report = kvae.export.export(
        model, tmp_path / "out", x, precisions=("float32", "int8"), batches=(200,),
        whole_model=True,
    )  # fmt: skip
    assert report.ok
    rows = [r for r in report.rows if r["file"].startswith("litert/")]
    assert all(row["batches"] == [200] for row in rows)
    assert {"decode", "generate", "encode"} <= {row["signature"] for row in rows}
    with np.load(tmp_path / "out" / "parity.npz") as cases:
        assert cases["real/decode/out/mean"].shape == (200, 4)


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
