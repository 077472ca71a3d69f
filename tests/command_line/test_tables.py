"""A table in a file becomes a run; its samples and filled holes are files again."""

import json

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.training.data.sources import load_data
from kvae_cli.main import main

pd = pytest.importorskip("pandas")


def write(path, num: int = 120) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, num),
            "income": np.exp(rng.normal(8, 1, num)).round(2),
            "job": rng.choice(["boss", "clerk", "cook"], num),
            "class": rng.choice(["good", "bad"], num),
        }
    )
    frame.loc[::9, "income"] = np.nan
    frame.to_csv(path, index=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write(folder / "credit.csv")
    arguments = ["--set", "epochs=2", "--set", "encoder.units=[8]", "--latent-dim", "2"]
    run = ["--out", str(folder / "run")]
    assert main(["train", "--data", str(folder / "credit.csv"), *arguments, *run]) == 0
    return folder


@pytest.mark.slow
def test_train_writes_a_run_with_a_fitted_prior(folder) -> None:
    config = (folder / "run/config.toml").read_text()
    assert "num_components = 1" in config
    metrics = json.loads((folder / "run/metrics.json").read_text())
    assert np.isfinite(metrics["test"]["elbo"]["value"])
    assert metrics["test"]["elbo"]["num_examples"] == 24


@pytest.mark.slow
def test_sample_writes_rows_of_the_same_columns(folder, capsys) -> None:
    run, out = str(folder / "run"), folder / "synthetic.csv"
    assert main(["sample", run, "--num", "30", "--out", str(out)]) == 0
    drawn, real = pd.read_csv(out), pd.read_csv(folder / "credit.csv")
    assert list(drawn.columns) == list(real.columns)
    assert len(drawn) == 30
    assert set(drawn["job"]) <= {"boss", "clerk", "cook"}
    assert (drawn["age"] == drawn["age"].round()).all()
    given = folder / "bad.parquet"
    chosen = ["--condition", "class=bad,age=30", "--out", str(given)]
    assert main(["sample", run, "--num", "5", *chosen]) == 0
    rows = pd.read_parquet(given)
    assert set(rows["class"]) == {"bad"}
    assert set(rows["age"]) == {30}
    capsys.readouterr()
    for wrong, words in (
        (["--out", str(folder / "a.png")], "--out takes a .csv, .tsv or .parquet file"),
        (["--condition", "klass=bad"], "no column 'klass'. Did you mean class?"),
        (["--condition", "class=fair"], "expected one of bad, good; received 'fair'"),
        (["--condition", "bad"], "takes column=value"),
    ):
        assert main(["sample", run, *wrong]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.slow
def test_impute_fills_holes_and_keeps_the_rest(folder, capsys) -> None:
    real = pd.read_csv(folder / "credit.csv")
    holes = real.copy()
    holes.loc[:20, "job"] = None
    holes.loc[10:30, "age"] = np.nan
    holes.to_csv(folder / "holes.csv", index=False)
    out = folder / "filled.csv"
    arguments = ["--data", str(folder / "holes.csv"), "--out", str(out), "--num", "4"]
    assert main(["impute", str(folder / "run"), *arguments]) == 0
    filled = pd.read_csv(out)
    assert not filled.isna().any().any()
    assert filled["age"].dtype == real["age"].dtype
    assert filled["class"].equals(real["class"])
    assert filled["age"][31:].equals(real["age"][31:])
    assert "of 120 rows" in capsys.readouterr().out
    other = ["--data", str(folder / "none.csv"), "--out", str(folder / "x.csv")]
    assert main(["impute", str(folder / "run"), *other]) == 2
    assert "there is no file" in capsys.readouterr().err


@pytest.mark.slow
def test_the_report_compares_columns(folder) -> None:
    page = folder / "report.html"
    arguments = ["--minutes", "0.05", "--out", str(page)]
    assert main(["report", str(folder / "run"), *arguments]) == 0
    text = page.read_text()
    assert "Columns" in text
    assert "How strongly each pair of columns depends" in text


@pytest.mark.slow
def test_encode_reads_a_table_with_the_run_s_schema(folder) -> None:
    rows = pd.read_csv(folder / "credit.csv")[:7]
    rows.to_csv(folder / "seven.csv", index=False)
    arguments = ["--data", str(folder / "seven.csv"), "--out", str(folder / "shards")]
    assert main(["encode", str(folder / "run"), *arguments]) == 0
    shard = next((folder / "shards").glob("*.parquet"))
    assert len(pd.read_parquet(shard)) == 7


def test_ranges_are_those_of_training_rows_and_hidden_entries_are_nan(tmp_path) -> None:
    write(tmp_path / "t.csv")
    data = load_data(str(tmp_path / "t.csv"), validation=0.1)
    assert (len(data.train), len(data.validation), len(data.test)) == (86, 10, 24)
    assert data.has_hidden_entries
    frame = pd.read_csv(tmp_path / "t.csv")
    age = next(column for column in data.schema.columns if column.name == "age")
    train = data.schema.decode(np.nan_to_num(data.train))["age"]
    assert (age.low, age.high) == (train.min(), train.max())
    assert len(frame) == 120


def test_a_column_of_names_is_refused_with_what_to_set(tmp_path) -> None:
    write(tmp_path / "t.csv")
    frame = pd.read_csv(tmp_path / "t.csv")
    frame["name"] = [f"Ann {i}" for i in range(len(frame))]
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError, match=r"--set columns\.name=ignored"):
        load_data(str(tmp_path / "t.csv"))
    data = load_data(str(tmp_path / "t.csv"), columns={"name": "ignored"})
    assert data.schema.columns[-1].kind == "ignored"
