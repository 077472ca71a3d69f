"""Integers that a run has not seen are scaled as those that it was trained on."""

import dataclasses
import json
import pathlib
from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits
from support.quick_runs import QUICK

from kvae.training import Run, UserError, load_data, load_recipe, train
from kvae.training.commands.encode_run import encode
from kvae.training.data.pixel_scale import PixelScale
from kvae.training.encoding.encoding_source import EncodingSource


@pytest.fixture
def pixels() -> np.ndarray:
    """(30, 8, 8) of 0 to 255."""
    images = load_digits().images[:30] / 16
    return (255 * images).round().astype("uint8")


@pytest.mark.slow
def test_integers_are_divided_by_what_training_divided_by(
    trained: Callable[..., Run],
    pixels: np.ndarray,
    tmp_path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not by what the largest of the new ones suggests."""
    caplog.set_level("INFO", "kvae")
    config = load_recipe("digits", settings=QUICK)
    np.save(tmp_path / "bytes.npy", pixels[..., None])
    of_bytes = train(
        dataclasses.replace(config, data=str(tmp_path / "bytes.npy")), tmp_path / "run"
    )
    dark = np.minimum(pixels[..., None], 1)
    np.save(tmp_path / "dark.npy", dark)
    encode(tmp_path / "run", tmp_path / "dark", data=str(tmp_path / "dark.npy"))
    assert "dark.npy: uint8 values are divided by 255, as in training" in caplog.text
    manifest = json.loads((tmp_path / "dark" / "_manifest.json").read_text())
    assert manifest["divisor"] == 255
    loc = np.stack(pq.read_table(tmp_path / "dark")["loc"].to_numpy())
    expected = of_bytes.vae.encode(dark.astype("float32") / np.float32(255)).mean()
    np.testing.assert_allclose(loc, expected, rtol=1e-5, atol=1e-6)

    for name in ("dark", "bytes"):  # with a .keras file, which has no record
        source = EncodingSource.open(str(tmp_path / f"{name}.npy"))
        assert source.divisor == {"dark": 1, "bytes": 255}[name]
    assert "bytes.npy: uint8 values are divided by 255, by their dtype" in caplog.text

    run = trained()  # 0 to 16
    assert run.directory.integer_divisor() == 16
    out, data = tmp_path / "out", str(tmp_path / "bytes.npy")
    with pytest.raises(
        UserError, match="examples 0 to 29: integers range over 0 to 255"
    ):
        encode(run.directory.path, out, data=data)
    assert not out.exists()


def test_a_run_on_floats_says_little_of_integers(
    pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    np.save(tmp_path / "bytes.npy", pixels)
    known = PixelScale(None, None, (-1.0, 1.0))
    with pytest.raises(
        UserError, match="uint8 and the model was trained on .* -1 to 1"
    ):
        EncodingSource.open(str(tmp_path / "bytes.npy"), known=known)
    np.save(tmp_path / "floats.npy", pixels / 127.5 - 1)
    source = EncodingSource.open(str(tmp_path / "floats.npy"), known=known)
    np.testing.assert_array_equal(
        source.x[0:30], (pixels / 127.5 - 1).astype("float32")
    )
    assert source.divisor == 1


def test_data_of_a_run_that_changed_their_scale_are_refused() -> None:
    data = load_data("digits")
    assert len(EncodingSource.of(data, None, known=PixelScale(None, 16.0)).x) == 1797
    with pytest.raises(UserError, match="divided by 255 in training and .* by 16"):
        EncodingSource.of(data, None, known=PixelScale(None, 255.0))
