"""`kvae encode`: every example of a source, in its own order, by the run's own rules."""

import json
import logging
import pathlib
import sys
from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits
from support.quick_runs import CONDITIONAL, DRAWN

from kvae import masks, presets
from kvae.training import Run, UserError
from kvae.training.commands.encode_run import encode
from kvae.training.data.pixel_scale import PixelScale
from kvae.training.data.rows import binarized
from kvae.training.encoding.encoding_source import EncodingSource
from kvae.training.run.runner import load_run_data
from kvae_cli import main


@pytest.fixture(scope="module")
def run(trained: Callable[..., Run]) -> Run:
    """A run whose pixels are drawn from probabilities."""
    return trained(*DRAWN)


def column(folder: pathlib.Path, name: str) -> np.ndarray:
    return pq.read_table(folder)[name].to_numpy()


def test_a_run_encodes_its_own_data_as_it_evaluates_them(
    run: Run, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "test"
    encode(run.directory.path, out, part="test", num_samples=2)
    assert capsys.readouterr().out == (
        f"Encoded 359 examples of digits (test 359) into 1 shard in {out}\n"
    )
    np.testing.assert_allclose(
        column(out, "elbo"), run.vae.elbo(run.data.test, num_samples=2), rtol=1e-5
    )
    np.testing.assert_array_equal(column(out, "label"), run.data.test_labels)

    encode(run.directory.path, tmp_path / "all", scores=False)
    table = pq.read_table(tmp_path / "all")
    assert table.column_names == [
        *("index", "loc", "scale", "label", "part", "label_name")
    ]
    of_rows = np.repeat(["train", "validation", "test"], [1294, 144, 359])
    assert table["part"].to_pylist() == of_rows.tolist()
    labels = table["label"].to_pylist()
    assert table["label_name"].to_pylist() == [str(label) for label in labels]
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
    whole = EncodingSource.open(
        str(tmp_path / "one.npy"), known=PixelScale(1, 1, (0, 255))
    )
    np.testing.assert_array_equal(whole.x[3:5], pixels[3:5])


def test_parts_come_whole_and_in_the_order_of_the_source(
    pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    """Nothing is held out where there is no test set, nor where there is no other."""
    expected = pixels.astype("float32") / np.float32(255)
    rows = {"train": slice(0, 18), "validation": slice(18, 21), "test": slice(21, 30)}
    for present in (("train", "validation"), ("train", "test"), ("test",), tuple(rows)):
        folder = tmp_path / "-".join(present)
        folder.mkdir()
        for part in present:
            np.save(folder / f"{part}-0.npy", pixels[rows[part]])
            np.save(folder / f"{part}-0-labels.npy", np.arange(30)[rows[part]])
        names = [str(folder)]
        if "train" in present:
            np.savez(f"{folder}.npz", **{p: pixels[rows[p]] for p in present})
            names.append(f"{folder}.npz")
        for name in names:
            source = EncodingSource.open(name)
            chosen = np.concatenate([np.arange(30)[rows[p]] for p in present])
            assert source.parts == {
                p: rows[p].stop - rows[p].start for p in rows if p in present
            }
            np.testing.assert_array_equal(source.x[0:30], expected[chosen])
            only = EncodingSource.open(name, present[-1])
            np.testing.assert_array_equal(only.x[0:30], expected[rows[present[-1]]])
        labels = EncodingSource.open(str(folder)).labels
        assert labels is not None
        np.testing.assert_array_equal(labels[0:30], chosen)
    with pytest.raises(UserError, match="no validation part; it has test"):
        EncodingSource.open(str(tmp_path / "test"), "validation")


def test_the_digits_are_whole_whatever_folder_bears_their_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = load_digits()
    (tmp_path / "digits").mkdir()
    np.save(tmp_path / "digits" / "a.npy", np.zeros((9, 8, 8)))
    monkeypatch.chdir(tmp_path)
    source = EncodingSource.open("digits")
    assert source.parts == {"all": 1797}
    assert source.divisor == 16
    np.testing.assert_array_equal(source.x[0:1797][..., 0], bundled.images / 16)
    assert source.labels is not None
    np.testing.assert_array_equal(source.labels[0:1797], bundled.target)


def test_labels_of_other_examples_are_refused(
    pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    """As by `load_data`: as many in total is not enough, and none is dropped."""
    for name, rows in (("a", slice(0, 10)), ("b", slice(10, 20))):
        np.save(tmp_path / f"{name}.npy", pixels[rows])
    labels = {name: tmp_path / f"{name}-labels.npy" for name in "ab"}
    np.save(labels["a"], np.arange(8))
    np.save(labels["b"], np.arange(12))
    with pytest.raises(UserError, match=r"a-labels.npy must hold one label.*\(8,\)"):
        EncodingSource.open(str(tmp_path))
    labels["b"].unlink()
    np.save(labels["a"], np.arange(10))
    with pytest.raises(UserError, match="there is no .*b-labels.npy"):
        EncodingSource.open(str(tmp_path))
    np.save(labels["b"], np.array(["cat"] * 10, object))
    with pytest.raises(UserError, match="b-labels.npy holds Python objects"):
        EncodingSource.open(str(tmp_path))
    one = tmp_path / "one.npz"
    np.savez(one, train=pixels, y=np.arange(30), test=pixels)
    with pytest.raises(UserError, match="labels for its train part but not for its te"):
        EncodingSource.open(str(one))
    assert EncodingSource.open(str(one), "test").labels is None
    assert EncodingSource.open(str(one), "train").labels is not None


def test_images_of_a_folder_come_by_their_names(
    pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i:02d}.png")
    source = EncodingSource.open(str(tmp_path))
    np.testing.assert_array_equal(
        source.x[0:30], pixels[..., None].astype("float32") / np.float32(255)
    )


def test_rows_of_a_folder_name_their_file_class_and_part(
    run: Run, pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    """Each picture has a level of its own, so its row tells which file it came from."""
    for i, part in enumerate(["train"] * 4 + ["test"] * 3):
        folder = tmp_path / "data" / part / ("cat", "dog")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        level = np.full((20, 20), 2 * i, np.uint8)
        Image.fromarray(level).save(folder / f"{i}.png")
    (tmp_path / "data" / "test" / "dog" / "9.png").write_bytes(b"nothing")
    data, model = str(tmp_path / "data"), run.directory.path
    with pytest.raises(UserError, match="9.png cannot be read .*--skip-unreadable"):
        encode(model, tmp_path / "none", data=data)
    encode(model, tmp_path / "out", data=data, skip_unreadable=True, shard_size=3)
    table = pq.read_table(tmp_path / "out").to_pydict()
    assert table["part"] == ["train"] * 4 + ["test"] * 3
    order = [0, 2, 1, 3, 4, 6, 5]
    assert [file[-5] for file in table["file"]] == [str(i) for i in order]
    assert table["label_name"] == [("cat", "dog")[i % 2] for i in order]
    assert [file.split("/")[1] for file in table["file"]] == table["label_name"]
    levels = np.repeat(np.float32(order)[:, None] / 8, 64, 1).reshape(-1, 8, 8, 1)
    drawn = np.concatenate([binarized(part)[:] for part in np.split(levels, [4])])
    loc = run.vae.encode(drawn).mean()
    np.testing.assert_allclose(np.stack(table["loc"]), loc, rtol=1e-4, atol=1e-5)
    encode(
        model,
        tmp_path / "records",
        data=data,
        part="test",
        skip_unreadable=True,
        file_format="tfrecord",
        scores=False,
    )
    (shard,) = (tmp_path / "records").glob("*.tfrecord")
    record = tf.train.Example.FromString(
        next(iter(tf.data.TFRecordDataset(shard))).numpy()
    )
    assert record.features.feature["file"].bytes_list.value[0] == b"test/cat/4.png"


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
    with pytest.raises(UserError, match="doesn't name its data; add --data"):
        encode(model, tmp_path / "none")


@pytest.mark.slow
def test_a_conditional_model_is_given_the_labels(
    trained: Callable[..., Run], pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    run = trained(*CONDITIONAL, recipe="digits_conditional")
    model = run.directory.path
    encode(model, tmp_path / "out", part="test")
    elbo = run.vae.elbo(run.data.inputs("test", "label"))
    np.testing.assert_allclose(column(tmp_path / "out", "elbo"), elbo, rtol=1e-5)
    np.save(tmp_path / "no-labels.npy", pixels[..., None])
    with pytest.raises(UserError, match="no-labels.npy has no labels"):
        encode(model, tmp_path / "none", data=str(tmp_path / "no-labels.npy"))


def test_the_command(
    run: Run,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("kvae"), "handlers", [])
    path, out = str(run.directory.path), str(tmp_path / "out")
    again = ["encode", path, "--out", out, "--part", "validation"]
    assert main.main([*again, "--shard-size", "100", "--seed", "3"]) == 0
    captured = capsys.readouterr()
    assert captured.out.endswith(f"(validation 144) into 2 shards in {out}\n")
    assert "shard-00001-of-00002.parquet: 144 of 144 examples" in captured.err
    assert main.main([*again, "--shard-size", "100"]) == 2
    assert "kvae: " in (err := capsys.readouterr().err)
    assert "holds shards with seed 3, not 0; choose another --out" in err

    assert main.main(["encode", path, "--out", out, "--data", "gone.npy"]) == 2
    assert "there is no file gone.npy" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert main.main(again) == 2
    assert 'pip install "keras-vae[parquet]"' in capsys.readouterr().err


def test_a_completing_model_is_refused(
    pixels: np.ndarray, tmp_path: pathlib.Path
) -> None:
    x = pixels.astype("float32")[..., None] / 255
    np.save(tmp_path / "x.npy", x)
    vae = presets.completing_vae(x, 2, masks.as_family("left_half"), filters=(4,))
    vae.save(tmp_path / "half.keras")
    with pytest.raises(UserError, match="completes hidden parts"):
        encode(tmp_path / "half.keras", tmp_path / "out", data=str(tmp_path / "x.npy"))
