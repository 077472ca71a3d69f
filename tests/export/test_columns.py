"""Servers take the columns of a table by name, and encode them as the schema does."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvae
import kvae.export
from kvae.export.columns import column_inputs, encoded
from kvae.export.serving.client import _column
from kvae.export.signatures import Detection, Signatures
from kvae.export.targets.saved_model import SavedModel
from kvae.tables import Schema

pd = pytest.importorskip("pandas")


def table(num=200, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "alcohol (%)": rng.normal(12, 1, num).round(2),
            "income": np.exp(rng.normal(8, 2, num)),
            "fee": np.where(rng.random(num) < 0.4, 0.0, rng.normal(90, 9, num)),
            "visits": rng.poisson(30, num),
            "member": rng.integers(0, 2, num),
            "paid": rng.random(num) < 0.5,
            "class": rng.choice(["good", "bad"], num),
            "city": rng.choice(["Bonn", "Oslo", "Rome"], num),
            "day": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(rng.integers(0, 300, num), unit="D"),
            "text day": [f"2024-0{1 + i % 9}-1{i % 7}" for i in range(num)],
            "always": 7,
        }
    )
    for name in ("income", "city", "fee"):
        frame.loc[rng.random(num) < 0.2, name] = None
    return frame


def columns_of(vae, frame):
    return {c.name: c.values(frame) for c in column_inputs(vae.schema)}


def test_the_graph_encodes_rows_as_the_schema_does():
    schema, new = Schema.of(table(), {"visits": "count"}), table(50, seed=1)
    kinds = {column.name: column.kind for column in schema.columns}
    assert set(kinds.values()) == {
        "number", "count", "binary", "category", "date", "constant"
    }  # fmt: skip
    new.loc[0, "income"] *= 100  # beyond the last knot
    new.loc[1, "fee"] = -50.0
    inputs = column_inputs(schema)
    assert [each.name for each in inputs][:3] == ["alcohol____", "income", "fee"]
    assert inputs[6].name == "column_class"  # a keyword of Python
    given = {c.name: tf.constant(c.values(new)) for c in inputs}
    x, mask, unseen = encoded(inputs, given)
    wanted = schema.encode(new)
    np.testing.assert_array_equal(mask, ~np.isnan(wanted))
    np.testing.assert_allclose(x, np.nan_to_num(wanted), rtol=1e-6, atol=1e-6)
    assert not np.any(unseen)
    given["city"] = tf.constant(["Paris"] * 50)
    _, mask, unseen = encoded(inputs, given)
    entry = [e["name"] for e in schema.entries()].index("city")
    assert np.argwhere(unseen[0].numpy()).ravel().tolist() == [entry]
    assert not mask[:, entry].numpy().any()


@pytest.mark.slow
def test_endpoints_decide_as_python_does():
    """Scores and decisions of a frame, in Python and through the graph of a server."""
    keras.utils.set_random_seed(0)
    vae = kvae.VAE.for_data(table(), latent_dim=2)
    detector = kvae.detection.Detector(vae, "elbo").calibrate(table(60, seed=2))
    endpoints = Signatures(vae, Detection(detector, 0.05))
    names = ("encode", "reconstruct", "score", "detect")
    assert endpoints.of_columns == tuple(f"{name}_columns" for name in names)
    score, decide = endpoints.choose(("score_columns", "detect_columns"))
    frame = table(40, seed=3)
    frame.loc[5, "income"] = 1e9
    given = {k: tf.constant(v) for k, v in columns_of(vae, frame).items()}
    seed = tf.constant([0, 0])
    found = score.graph(*given.values(), seed)
    np.testing.assert_allclose(found["elbo"], vae.elbo(frame), rtol=1e-4, atol=1e-3)

    strange = frame.assign(city=frame["city"].where(frame.index != 3, "Paris"))
    wanted = detector.detect(strange, 0.05, attribution=True)
    given["city"] = tf.constant(columns_of(vae, strange)["city"])
    got = {k: v.numpy() for k, v in decide.graph(*given.values()).items()}
    assert np.isinf(got["score"][3])
    np.testing.assert_array_equal(got["is_anomaly"] == 1, wanted.is_anomaly)
    np.testing.assert_allclose(got["p_value"], wanted.p_value, rtol=1e-5)
    np.testing.assert_allclose(got["score"], wanted.score, rtol=1e-4)
    np.testing.assert_allclose(
        got["attribution"], wanted.attribution, rtol=1e-3, atol=1e-3
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="in column.*city"):
        score.graph(*given.values(), seed)
    given["city"] = tf.constant(["Rome"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many rows"):
        score.graph(*given.values(), seed)


def test_a_client_sends_numbers_and_text_as_they_are():
    assert _column("income", [1, 2]).dtype == np.float64
    assert _column("city", ["Bonn", ""]).dtype.kind == "U"
    assert _column("seed", [1, 0]).dtype == np.int32


@pytest.mark.slow
def test_the_saved_model_is_compared_with_keras(tmp_path):
    keras.utils.set_random_seed(0)
    frame = table()
    vae = kvae.VAE.for_data(frame, latent_dim=2)
    report = kvae.export.export(
        vae, tmp_path / "out", frame, targets=(SavedModel(),), allow_untrained=True
    )
    assert report.ok
    compared = {(row["signature"], row["data"]) for row in report.rows}
    assert {("score_columns", "real"), ("score_columns", "random")} <= compared
    about = json.loads((tmp_path / "out/export.json").read_text())["model"]
    city = next(c for c in about["columns"] if c["column"] == "city")
    assert city["levels"] == ["Bonn", "Oslo", "Rome"]
    assert city["dtype"] == "string"
