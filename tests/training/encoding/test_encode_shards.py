"""Shards of encodings: the numbers of the model, whatever the cuts and interruptions."""

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from support import small

import kvae
from kvae.training import UserError, encode_shards

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


def test_texts_are_one_string_per_example(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    names = np.array([f"{i}.png" for i in range(NUM)])
    encode_shards(vae, x, tmp_path / "out", texts={"file": names}, shard_size=99)
    assert pq.read_table(tmp_path / "out")["file"].to_pylist() == names.tolist()
    for texts, message in (
        ({"file": names[1:]}, "one row per example; received .*'file': 202"),
        ({"file": np.arange(NUM)}, "file must be one string per example; .* int64"),
        ({"elbo": names}, "elbo is already a column"),
    ):
        with pytest.raises(UserError, match=message):
            encode_shards(vae, x, tmp_path / "no", texts=texts)


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


def test_labels_are_written_whole_or_refused(
    vae: Any, x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    """float32 has 24 bits, float64 has 53, int64 has 63."""
    time = 2.0**24 + np.arange(NUM)
    time[7] = np.nan
    encode_shards(vae, x, tmp_path / "time", labels=time, scores=False)
    np.testing.assert_array_equal(read(tmp_path / "time")["label"], time)
    records = {"file_format": "tfrecord", "scores": False}
    with pytest.raises(UserError, match="label 16777217.0 of float64 .* float32; Parq"):
        encode_shards(vae, x, tmp_path / "no", labels=time, **records)
    encode_shards(vae, x, tmp_path / "half", labels=np.arange(NUM) / 2, **records)
    manifest = json.loads((tmp_path / "half" / "_manifest.json").read_text())
    assert manifest["columns"]["label"]["dtype"] == "float32"

    large = np.full(NUM, 2**63 - 1, "uint64")
    encode_shards(vae, x, tmp_path / "large", labels=large, scores=False)
    np.testing.assert_array_equal(read(tmp_path / "large")["label"], large)
    large[-1] += np.uint64(1)
    with pytest.raises(UserError, match="label 9223372036854775808 of uint64"):
        encode_shards(vae, x, tmp_path / "no", labels=large)
    assert not (tmp_path / "no").exists()


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
    """What is not an array: a length, and arrays for its slices."""

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
    vae: Any,
    x: np.ndarray,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The checksum of the rows reads blocks of some MiB, which here would be all rows.
    block = 32 * x[:1].nbytes
    monkeypatch.setattr("kvae.training.data.fingerprint._BLOCK", block)
    lazy = Lazy(x)
    encode_shards(vae, lazy, tmp_path / "lazy", batch_size=32, shard_size=100)
    encode_shards(vae, x, tmp_path / "array", batch_size=32, shard_size=100)
    assert lazy.most == 32
    assert contents(tmp_path / "lazy") == contents(tmp_path / "array")
