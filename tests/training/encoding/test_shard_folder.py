"""The folder of shards: resumed to the same bytes, and never mixed up."""

import dataclasses
import os
import pathlib
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

from kvae.core.atomic import WriteError
from kvae.core.extras import MissingExtra
from kvae.training import UserError, encode_shards
from kvae.training.encoding import shard_files

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[3]
NUM = 203


@pytest.fixture(scope="module")
def vae() -> Any:
    model = small.vae()
    model.fit(small.binary(64), epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return small.binary(NUM, seed=3)


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


_KILLED = """
import os, signal, sys
import numpy as np
from kvae.training import encode_shards, load_model_file
from kvae.training.encoding import shard_files
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
    labeled = tmp_path / "labeled"
    encode_shards(vae, x, labeled, labels=np.arange(NUM))
    with pytest.raises(UserError, match="labeled holds shards of other data; choose"):
        encode_shards(vae, x, labeled, labels=np.arange(NUM)[::-1])
    with pytest.raises(UserError, match="with shard_size 100, not 50; choose another"):
        encode_shards(vae, x, out, shard_size=50)
    assert contents(out) == before

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years")
    with pytest.raises(UserError, match="holds files that are not shards"):
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


def test_facts_are_what_json_makes_of_them(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    """A tuple is read back as a list, and is no other data for that."""
    facts = {"shape": (28, 28), "of": {1: "one"}}
    folder = encode_shards(vae, x, tmp_path / "out", shard_size=100, facts=facts)
    before = contents(folder.path)
    folder.file(1).unlink()
    encode_shards(vae, x, tmp_path / "out", shard_size=100, facts=facts)
    assert contents(folder.path) == before
    for name in ("model", "data", "versions"):
        with pytest.raises(UserError, match=f"not use the names .* received {name}"):
            encode_shards(vae, x, tmp_path / "no", facts={name: "mine"})
    for value in (np.int64(3), float("nan"), tmp_path):
        with pytest.raises(UserError, match="facts must be JSON types"):
            encode_shards(vae, x, tmp_path / "no", facts={"mine": value})
    assert not (tmp_path / "no").exists()


def test_whole_numbers_of_numpy_are_whole_numbers(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    options = {"shard_size": 100, "batch_size": 32, "num_samples": 2, "seed": 3}
    given = {name: np.int64(value) for name, value in options.items()}
    encode_shards(vae, x, tmp_path / "numpy", **given)
    encode_shards(vae, x, tmp_path / "python", **options)
    assert contents(tmp_path / "numpy") == contents(tmp_path / "python")


def test_the_same_model_loaded_again_goes_on(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    """Keras numbers the names of what it makes; they are not part of the model."""
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
    with pytest.raises(UserError, match="shard_size must be a positive integer"):
        encode_shards(vae, x, out, shard_size=0)
    with pytest.raises(UserError, match="the format must be parquet or tfrecord"):
        encode_shards(vae, x, out, file_format="csv")
    batches = tf.data.Dataset.from_tensor_slices(x).batch(8)
    with pytest.raises(UserError, match="x is a tf.data.Dataset.*write_shards"):
        encode_shards(vae, batches, out)
    for nothing in (iter(x), 3, np.float32(3)):
        with pytest.raises(UserError, match="x must be an array, or have a length"):
            encode_shards(vae, nothing, out)
    with pytest.raises(UserError, match="labels must be an array"):
        encode_shards(vae, x, out, labels=set(range(NUM)))
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
            path.unlink(missing_ok=True)
            path.symlink_to("/dev/full")
        write(path, columns)

    monkeypatch.setattr(shard_files, "_write_tfrecord", full)
    with pytest.raises(
        WriteError, match="shard-00001-of-00003.tfrecord was not written"
    ):
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
    assert "2 of 3 shards exist" in caplog.messages[0]
