"""The verb detect: its table is that of the library, and its page shows the worst."""

import csv
import json

import matplotlib.image
import numpy as np
import pytest

import kvae_cli.main
from kvae.detection import Detector
from kvae.training import load_data


@pytest.fixture(scope="module")
def run(trained):
    return trained().directory.path


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """Fifty test digits; the fourth is upside down in its gray values."""
    x = (load_data("digits").test[:50] * 16).astype("uint8")
    x[3] = 16 - x[3]
    path = tmp_path_factory.mktemp("data") / "new.npy"
    np.save(path, x)
    return path, x


def call(*words):
    return kvae_cli.main.main([*map(str, words)])


@pytest.mark.slow
def test_the_table_and_the_page_are_those_of_the_library(
    run, strange, tmp_path, capsys
):
    path, x = strange
    out = tmp_path / "found"
    words = ("--score", "distortion", "--alpha", "0.05", "--out", out)
    assert call("detect", run, "--data", path, *words) == 0
    said = capsys.readouterr().out
    assert "the 144 validation examples of" in said
    assert "unusual at alpha=0.05" in said
    with (out / "anomalies.csv").open() as file:
        rows = list(csv.DictReader(file))
    detector = Detector.load(out / "detector")
    found = detector.detect(x.astype("float32") / 16, alpha=0.05)
    assert detector.num_calibration == 144
    np.testing.assert_allclose([float(r["score"]) for r in rows], found.score)
    assert [r["is_anomaly"] == "True" for r in rows] == found.is_anomaly.tolist()
    assert found.worst(1) == 3
    assert rows[3]["where"].startswith("pixel (")
    assert json.loads((out / "found.json").read_text())["num_examples"] == 50
    # Rows of ten: the example, its reconstruction, and its heat map.
    height, width = matplotlib.image.imread(out / "worst.png").shape[:2]
    assert width / height == pytest.approx((10 * 9 + 1) / (3 * 9 + 1), rel=0.01)
    page = (out / "report.html").read_text()
    assert "The 10 most unusual examples" in page
    assert "Drift" in page
    assert page.count("data:image/png") == 4


@pytest.mark.slow
def test_parquet_holds_the_same_table(run, strange, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "found"
    words = ("--data", strange[0], "--score", "elbo", "--alpha", "0.1", "--out", out)
    assert call("detect", run, *words) == 0
    table = parquet.read_table(out / "anomalies.parquet")
    with (out / "anomalies.csv").open() as file:
        assert next(csv.reader(file)) == table.column_names
    assert table.num_rows == 50


@pytest.mark.slow
def test_a_saved_detector_decides_as_before(run, strange, tmp_path, capsys):
    """In place of the run, whose scale of integers it knows, and beside it."""
    path, _ = strange
    first, again, beside = (tmp_path / name for name in ("first", "again", "beside"))
    words = ("--data", path, "--alpha", "0.05")
    assert call("detect", run, *words, "--score", "elbo", "--out", first) == 0
    saved = first / "detector"
    capsys.readouterr()
    assert call("detect", saved, *words, "--out", again) == 0
    said = capsys.readouterr()
    assert "that of the saved detector, 144 examples; score elbo" in said.out
    assert "Drift" not in said.out
    assert "divided by 16" in said.err
    assert call("detect", run, *words, "--detector", saved, "--out", beside) == 0
    said = capsys.readouterr()
    assert "Drift" in said.out
    assert said.err.count("is the test set") + said.err.count("are the test set") <= 1
    tables = [(out / "anomalies.csv").read_text() for out in (first, again, beside)]
    assert tables[0] == tables[1] == tables[2]
    for wrong, sentence in (
        ((saved, *words), "with --out"),
        ((saved, "--out", tmp_path / "x"), "with --data"),
        ((saved, *words, "--score", "elbo"), "leave out --score"),
        ((saved, *words, "--detector", saved), "leave out --detector"),
        ((run, *words, "--detector", run), "is not a detector that was saved"),
        ((saved, "--data", path, "--alpha", "0.001", "--out", "x"), "at least 999"),
    ):
        assert call("detect", *wrong) == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_the_run_s_data_are_described_once(run, tmp_path, capsys):
    out = tmp_path / "found"
    words = ("--alpha", "0.1", "--score", "elbo", "--out", out)
    assert call("detect", run, *words) == 0
    lines = [n for n in capsys.readouterr().err.splitlines() if n.startswith("digits:")]
    assert lines
    assert len(lines) == len(set(lines))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--alpha 0", "a share above 0 and below 1"),
        ("--alpha 0.0001", "needs at least 9999 calibration examples"),
        ("--score elbow --alpha 0.1", "Did you mean elbo"),
        ("--data nowhere.npy --alpha 0.1", "nowhere.npy"),
    ],
)
def test_mistakes_are_explained_in_a_sentence(run, tmp_path, capsys, words, sentence):
    out = tmp_path / "found"
    assert call("detect", run, *words.split(), "--out", out) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()
