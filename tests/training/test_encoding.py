"""Shards of encodings: the numbers of the model, whatever the cuts and interruptions."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest
import small
import tensorflow as tf

import kvae
from kvae.training import UserError, encode_shards, encoding, shard_files
from kvae.training.atomic import WriteError
from kvae.training.extras import MissingExtra

ROOT = pathlib.Path(__file__).parents[2]
NUM = 203


@pytest.fixture(scope="module")
def vae() -> Any:
    model = small.vae()
    model.fit(small.binary(64), epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return small.binary(NUM, seed=3)


def read(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """All columns of a folder of Parquet shards, read as one table."""
    table = pq.read_table(folder)
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    return {
        name: column.flatten().to_numpy().reshape(NUM, -1)
        if hasattr(column, "flatten") and column.type.num_fields
        else column.to_numpy()
        for name, column in columns.items()
    }


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_parquet_holds_what_encode_and_elbo_compute(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    labels = np.arange(NUM) % 7
    folder = encode_shards(
        vae, x, tmp_path / "out", labels=labels, shard_size=50, num_samples=3, seed=4
    )
    assert [file.name for file in sorted(folder.path.iterdir())] == [
        "_manifest.json",
        *(f"shard-0000{i}-of-00005.parquet" for i in range(5)),
    ]
    columns = read(folder.path)
    q = vae.encode(x)
    np.testing.assert_array_equal(columns["index"], np.arange(NUM))
    np.testing.assert_array_equal(columns["label"], labels)
    np.testing.assert_allclose(columns["loc"], q.mean(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(columns["scale"], q.stddev(), rtol=1e-6)
    elbo = vae.elbo(x, num_samples=3, seed=4)
    np.testing.assert_allclose(columns["elbo"], elbo, rtol=1e-5)
    total = columns["rate"] + columns["distortion"]
    np.testing.assert_allclose(columns["elbo"], -total, rtol=1e-6)
    manifest = json.loads(folder.manifest_file.read_text())
    assert manifest["examples"] == NUM
    assert manifest["columns"]["loc"] == {"dtype": "float32", "shape": [2]}
    assert manifest["columns"]["label"] == {"dtype": "int64", "shape": []}


def test_tfrecord_holds_the_same_rows(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    for file_format in ("parquet", "tfrecord"):
        encode_shards(
            vae, x, tmp_path / file_format, file_format=file_format, shard_size=64
        )
    expected = read(tmp_path / "parquet")
    manifest = json.loads((tmp_path / "tfrecord" / "_manifest.json").read_text())
    features = {
        name: tf.io.FixedLenFeature(
            column["shape"], "int64" if "int" in column["dtype"] else "float32"
        )
        for name, column in manifest["columns"].items()
    }
    files = sorted(map(str, (tmp_path / "tfrecord").glob("*.tfrecord")))
    assert len(files) == 4
    records = tf.data.TFRecordDataset(files).batch(NUM).get_single_element()
    found = tf.io.parse_example(records, features)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_every_parameter_of_the_posterior_is_there_and_its_mean(
    tmp_path: pathlib.Path,
) -> None:
    """scale_tril is a matrix, written row by row; a flow's mean is not its loc."""
    x = small.binary(NUM)
    full = small.vae(posterior=kvae.posteriors.FullNormal(2))
    full.build((None, small.DIM))
    encode_shards(full, x, tmp_path / "full", scores=False)
    columns = read(tmp_path / "full")
    assert sorted(columns) == ["index", "loc", "scale_tril"]
    tril = columns["scale_tril"].reshape(NUM, 2, 2)
    covariance = full.encode(x).covariance()
    np.testing.assert_allclose(tril @ tril.swapaxes(1, 2), covariance, rtol=1e-5)

    flow = small.vae(
        posterior=kvae.posteriors.InverseAutoregressiveFlow(2),
        objective=kvae.objectives.ELBO(kl="sampled"),
    )
    flow.build((None, small.DIM))
    encode_shards(flow, x, tmp_path / "flow")
    columns = read(tmp_path / "flow")
    decoded = flow.decode(columns["mean"]).mean()
    np.testing.assert_allclose(decoded, flow.reconstruct(x), rtol=1e-5)
    assert np.abs(columns["mean"] - columns["loc"]).max() > 1e-3


def test_the_cut_into_shards_changes_no_bit_and_batches_only_rounding(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    encode_shards(vae, x, tmp_path / "whole", batch_size=32)
    encode_shards(vae, x, tmp_path / "cut", batch_size=32, shard_size=45)
    encode_shards(vae, x, tmp_path / "tiny", batch_size=7, shard_size=45)
    whole, cut, tiny = (read(tmp_path / name) for name in ("whole", "cut", "tiny"))
    for name, values in whole.items():
        np.testing.assert_array_equal(cut[name], values)
        np.testing.assert_allclose(tiny[name], values, rtol=2e-5, atol=2e-6)


class Lazy:
    """What is no array: a length, and arrays for its slices."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.most = 0

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: slice) -> np.ndarray:
        read = self.array[rows]
        self.most = max(self.most, len(read))
        return read


def test_rows_are_read_a_batch_at_a_time(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    lazy = Lazy(x)
    encode_shards(vae, lazy, tmp_path / "lazy", batch_size=32, shard_size=100)
    encode_shards(vae, x, tmp_path / "array", batch_size=32, shard_size=100)
    assert lazy.most == 32
    assert contents(tmp_path / "lazy") == contents(tmp_path / "array")


_KILLED = """
import os, signal, sys
import numpy as np
from kvae.training import encode_shards, load_model_file, shard_files
import pathlib
model, data, out = sys.argv[1:]
write, calls = shard_files._write_parquet, []
def killed(path, columns):
    write(path, columns)
    calls.append(path)
    if len(calls) == 3:  # written, and not yet renamed
        os.kill(os.getpid(), signal.SIGKILL)
shard_files._write_parquet = killed
encode_shards(load_model_file(pathlib.Path(model)), np.load(data), out, shard_size=40)
"""


def test_killed_and_gone_on_gives_the_same_bytes(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    model, data, out = (tmp_path / name for name in ("m.keras", "x.npy", "out"))
    vae.save(model)
    np.save(data, x)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, model, data, out],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    shards = sorted(out.glob("shard-*"))
    assert [file.name[:11] for file in shards] == ["shard-00000", "shard-00001"]
    assert len(list(out.glob(".*.partial.*"))) == 1
    times = [file.stat().st_mtime_ns for file in shards]
    encode_shards(vae, x, out, shard_size=40)
    assert [file.stat().st_mtime_ns for file in shards] == times  # not made again
    through = tmp_path / "through"
    encode_shards(vae, x, through, shard_size=40)
    assert contents(out) == contents(through)
    assert len(contents(out)) == 1 + 6


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "out"
    encode_shards(vae, x, out, shard_size=100)
    before = contents(out)
    other = small.vae()  # before training
    changed = x.copy()
    changed[0] = 1 - changed[0]
    with pytest.raises(UserError, match="out holds shards of another model; choose"):
        encode_shards(other, x, out, shard_size=100)
    for data in (changed, x[:-1]):
        with pytest.raises(UserError, match="out holds shards of other data; choose"):
            encode_shards(vae, data, out, shard_size=100)
    with pytest.raises(UserError, match="with shard_size 100, not 50; choose another"):
        encode_shards(vae, x, out, shard_size=50)
    assert contents(out) == before

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years")
    with pytest.raises(UserError, match="holds files, but no shards"):
        encode_shards(vae, x, foreign)
    assert contents(foreign) == {"thesis.tex": b"years"}
    (out / "_manifest.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        encode_shards(vae, x, out, shard_size=100)


def test_every_setting_that_decides_numbers_or_files_is_compared(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    folder = encode_shards(vae, x, tmp_path / "out", facts={"source": "bits"})
    assert set(folder.facts) == {
        *("model", "data", "examples", "format", "shard_size", "batch_size"),
        *("scores", "num_samples", "seed", "columns", "source"),
    }
    for key in folder.facts:
        other = dataclasses.replace(folder, facts={**folder.facts, key: 77})
        with pytest.raises(UserError, match="out holds shards"), other.opened():
            pytest.fail("the folder was opened")


def test_the_same_model_loaded_again_goes_on(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    """Keras numbers the names of what it makes; they are no part of the model."""
    folder = encode_shards(vae, x, tmp_path / "out", shard_size=100)
    copy = small.vae()
    copy.build((None, small.DIM))
    copy.set_weights(vae.get_weights())
    before = contents(folder.path)
    folder.file(1).unlink()
    encode_shards(copy, x, tmp_path / "out", shard_size=100)
    assert contents(folder.path) == before


def test_a_second_process_on_the_folder_is_refused(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    folder = encode_shards(vae, x, tmp_path / "out")
    with folder.opened(), pytest.raises(UserError, match="in use by another process"):
        encode_shards(vae, x, tmp_path / "out")


def test_mistakes_are_told_before_anything_is_written(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    bad = x.copy()
    bad[5, 0] = np.nan
    with pytest.raises(UserError, match="examples 0 to 202: x holds 1 entries that"):
        encode_shards(vae, bad, out)
    with pytest.raises(UserError, match="one row per example.*'labels': 3"):
        encode_shards(vae, x, out, labels=np.arange(3))
    with pytest.raises(UserError, match="there are no examples"):
        encode_shards(vae, x[:0], out)
    with pytest.raises(UserError, match="shard_size must be a whole number from 1"):
        encode_shards(vae, x, out, shard_size=0)
    with pytest.raises(UserError, match="the format is parquet or tfrecord"):
        encode_shards(vae, x, out, file_format="csv")
    unbuilt = small.vae(encoder=keras.Sequential([keras.layers.Dense(8)]))
    with pytest.raises(UserError, match="no weights yet"):
        encode_shards(unbuilt, x, out)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r'pip install "keras-vae\[parquet\]"'):
        encode_shards(vae, x, out)
    assert not out.exists()


def test_a_full_disk_is_one_sentence_and_what_stands_stays(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/dev/full takes no byte: TensorFlow's own error arrives as ours."""
    out = tmp_path / "out"
    encode_shards(vae, x, tmp_path / "good", file_format="tfrecord", shard_size=100)
    write, calls = shard_files._write_tfrecord, []

    def full(path: pathlib.Path, columns: dict[str, np.ndarray]) -> None:
        calls.append(path)
        if len(calls) == 2:
            path.symlink_to("/dev/full")
        write(path, columns)

    monkeypatch.setattr(shard_files, "_write_tfrecord", full)
    with pytest.raises(WriteError, match="shard-00001-of-00003.tfrecord could not be"):
        encode_shards(vae, x, out, file_format="tfrecord", shard_size=100)
    assert sorted(file.name for file in out.iterdir()) == [
        "_manifest.json",
        "shard-00000-of-00003.tfrecord",
    ]
    encode_shards(vae, x, out, file_format="tfrecord", shard_size=100)
    assert contents(out) == contents(tmp_path / "good")


def test_progress_is_told_once_for_each_shard(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "kvae")
    folder = encode_shards(vae, x, tmp_path / "out", shard_size=100)
    told = [m for m in caplog.messages if m.startswith("shard-")]
    assert [m.partition(",")[0] for m in told] == [
        "shard-00000-of-00003.parquet: 100 of 203 examples",
        "shard-00001-of-00003.parquet: 200 of 203 examples",
        "shard-00002-of-00003.parquet: 203 of 203 examples",
    ]
    folder.file(2).unlink()
    caplog.clear()
    encode_shards(vae, x, tmp_path / "out", shard_size=100)
    assert "2 of 3 shards are there" in caplog.messages[0]
    assert encoding._LOG.name == "kvae"
