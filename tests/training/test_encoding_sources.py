"""`kvae encode`: every example of a source, in its own order, by the run's own rules."""

import json
import logging
import pathlib
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from kvae import cli, masks, presets
from kvae.training import Run, UserError, load_recipe, train
from kvae.training.encoding_runs import encode
from kvae.training.encoding_sources import EncodingSource
from kvae.training.runner import load_run_data

QUICK = "epochs=1 encoder.units=[8] decoder.units=[8] latent_dim=2".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose pixels are drawn from probabilities."""
    settings = [*QUICK, "binarise=dynamic", "likelihood=bernoulli"]
    path = tmp_path_factory.mktemp("runs") / "drawn"
    return train(load_recipe("digits", settings=settings), path)


def column(folder: pathlib.Path, name: str) -> np.ndarray:
    return pq.read_table(folder)[name].to_numpy()


def test_a_run_encodes_its_own_data_as_it_evaluates_them(
    run: Run, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "test"
    encode(run.directory.path, out, part="test", num_samples=2)
    assert capsys.readouterr().out == (
        f"359 examples of digits (test 359) lie in 1 shard in {out}\n"
    )
    np.testing.assert_allclose(
        column(out, "elbo"), run.vae.elbo(run.data.test, num_samples=2), rtol=1e-5
    )
    np.testing.assert_array_equal(column(out, "label"), run.data.test_labels)

    encode(run.directory.path, tmp_path / "all", scores=False)
    table = pq.read_table(tmp_path / "all")
    assert table.column_names == ["index", "loc", "scale", "label"]
    manifest = json.loads((tmp_path / "all" / "_manifest.json").read_text())
    parts = manifest["parts"]
    assert parts == {"train": 1294, "validation": 144, "test": 359}
    data = load_run_data(run.config)
    expected = [data.train_labels, data.validation_labels, data.test_labels]
    np.testing.assert_array_equal(
        column(tmp_path / "all", "label"), np.concatenate(expected)
    )
    loc = np.stack(column(tmp_path / "all", "loc"))
    test = run.vae.encode(data.test).mean()
    np.testing.assert_allclose(loc[-359:], test, rtol=1e-5, atol=1e-6)


@pytest.fixture
def pixels() -> np.ndarray:
    """(30, 8, 8) of 0 to 255."""
    images = load_digits().images[:30] / 16
    return (255 * images).round().astype("uint8")


def test_a_file_and_a_folder_of_arrays_are_read_in_their_order(
    pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    """No test set is held out, and integers are divided as in training."""
    expected = pixels.astype("float32") / np.float32(255)
    np.save(tmp_path / "one.npy", pixels)
    folder = tmp_path / "several"
    folder.mkdir()
    for name, rows in (("b", slice(12, 30)), ("a", slice(0, 12))):
        np.save(folder / f"{name}.npy", pixels[rows])
        np.save(folder / f"{name}-labels.npy", np.arange(30)[rows])
    np.savez(tmp_path / "named.npz", x=pixels, y=np.arange(30))
    for name in ("one.npy", "several", "named.npz"):
        source = EncodingSource.open(str(tmp_path / name))
        assert source.parts == {"all": 30}
        assert source.name == name
        np.testing.assert_array_equal(source.x[0:30], expected)
        if name == "one.npy":
            assert source.labels is None
        else:
            assert source.labels is not None
            np.testing.assert_array_equal(source.labels[0:30], np.arange(30))
    raw = EncodingSource.open(str(tmp_path / "one.npy"), pixel_max=1)
    np.testing.assert_array_equal(raw.x[3:5], pixels[3:5])


def test_parts_that_a_source_has_are_kept(
    pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    expected = pixels.astype("float32") / np.float32(255)
    np.savez(tmp_path / "parts.npz", train=pixels[:20], test=pixels[20:])
    folder = tmp_path / "parts"
    folder.mkdir()
    np.save(folder / "train.npy", pixels[:20])
    np.save(folder / "test.npy", pixels[20:])
    for name in ("parts.npz", "parts"):
        source = EncodingSource.open(str(tmp_path / name))
        assert source.parts == {"train": 20, "test": 10}
        np.testing.assert_array_equal(source.x[0:30], expected)
        only = EncodingSource.open(str(tmp_path / name), "test")
        np.testing.assert_array_equal(only.x[0:10], expected[20:])
        with pytest.raises(UserError, match="no validation part; it has train, test"):
            EncodingSource.open(str(tmp_path / name), "validation")


def test_images_of_a_folder_come_by_their_names(
    pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    source = EncodingSource.open(str(tmp_path))
    np.testing.assert_array_equal(
        source.x[0:30], pixels[..., None].astype("float32") / np.float32(255)
    )


def test_a_model_file_encodes_a_file_given_by_name(
    run: Run, pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    np.save(tmp_path / "more.npy", pixels[..., None])
    model = tmp_path / "model.keras"
    run.vae.save(model)
    encode(model, tmp_path / "out", data=str(tmp_path / "more.npy"))
    x = pixels[..., None].astype("float32") / np.float32(255)
    np.testing.assert_allclose(
        column(tmp_path / "out", "elbo"), run.vae.elbo(x), rtol=1e-5
    )
    with pytest.raises(UserError, match="does not say of which data; give --data"):
        encode(model, tmp_path / "none")


def test_a_conditional_model_is_given_the_labels(
    pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    config = load_recipe("digits", settings=[*QUICK, "condition=label"])
    run = train(config, tmp_path / "run")
    encode(tmp_path / "run", tmp_path / "out", part="test")
    elbo = run.vae.elbo(run.data.inputs("test", "label"))
    np.testing.assert_allclose(column(tmp_path / "out", "elbo"), elbo, rtol=1e-5)
    np.save(tmp_path / "no-labels.npy", pixels[..., None])
    with pytest.raises(UserError, match="no-labels.npy has no labels"):
        encode(
            tmp_path / "run", tmp_path / "none", data=str(tmp_path / "no-labels.npy")
        )


def test_the_command(
    run: Run,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("kvae"), "handlers", [])
    path, out = str(run.directory.path), str(tmp_path / "out")
    again = ["encode", path, "--out", out, "--part", "validation"]
    assert cli.main([*again, "--shard-size", "100", "--seed", "3"]) == 0
    captured = capsys.readouterr()
    assert captured.out.endswith(f"(validation 144) lie in 2 shards in {out}\n")
    assert "shard-00001-of-00002.parquet: 144 of 144 examples" in captured.err
    assert cli.main([*again, "--shard-size", "100"]) == 2
    assert "kvae: " in (err := capsys.readouterr().err)
    assert "holds shards with seed 3, not 0; choose another --out" in err

    assert cli.main(["encode", path, "--out", out, "--data", "gone.npy"]) == 2
    assert "there is no file gone.npy" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert cli.main(again) == 2
    assert 'pip install "keras-vae[parquet]"' in capsys.readouterr().err


def test_a_completing_model_is_refused(
    pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    x = pixels.astype("float32")[..., None] / 255
    np.save(tmp_path / "x.npy", x)
    vae = presets.completing_vae(x, 2, masks.as_family("left_half"), filters=(4,))
    vae.save(tmp_path / "half.keras")
    with pytest.raises(UserError, match="completes what is hidden"):
        encode(tmp_path / "half.keras", tmp_path / "out", data=str(tmp_path / "x.npy"))
