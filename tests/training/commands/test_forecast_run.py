"""The verb forecast: its draws are those of the library, in the units of the file."""

import matplotlib.image
import numpy as np
import pytest

import kvae_cli.main
from kvae.training.run.run_directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    step = np.arange(12)[None, :, None] / 2
    phase = np.random.default_rng(0).uniform(0, 6, (80, 1, 2))
    windows = 500 + 3 * np.sin(step + phase)
    np.save(folder / "windows.npy", windows)
    np.save(folder / "past.npy", windows[:3, :9])
    small = (
        "--epochs 1 --latent-dim 2 --set encoder.filters=[4] --set encoder.units=[8]"
    )
    words = f"train forecast --data {folder}/windows.npy {small} --out {folder}/run -q"
    assert kvae_cli.main.main(words.split()) == 0
    return folder


def call(folder, *words):
    first = ("forecast", folder / "run", "--data", folder / "past.npy")
    return kvae_cli.main.main([*map(str, (*first, *words))])


def test_draws_pictures_and_tables_are_those_of_the_library(folder, tmp_path, capsys):
    pandas = pytest.importorskip("pandas")
    past = np.load(folder / "past.npy")
    vae = RunDirectory.open(folder / "run").load_model()
    found = vae.forecast(past, 2, 20, seed=3)
    words = ("--steps", "2", "--num", "20", "--seed", "3", "--out")
    assert call(folder, *words, tmp_path / "f.npy") == 0
    said = capsys.readouterr().out
    assert "Saved 20 futures of 2 steps of each of 3 series to" in said
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), found.draws)
    assert call(folder, *words, tmp_path / "f.csv") == 0
    table = pandas.read_csv(tmp_path / "f.csv")
    assert len(table) == 3 * 2 * 2
    row = table[(table["series"] == 1) & (table["step"] == 2) & (table["feature"] == 1)]
    assert row["mean"].item() == pytest.approx(found.mean[1, 1, 1], rel=1e-6)
    assert row["q95"].item() == pytest.approx(found.quantile(0.95)[1, 1, 1], rel=1e-6)
    assert call(folder, "--out", tmp_path / "f.png") == 0
    assert matplotlib.image.imread(tmp_path / "f.png").shape[0] > 100


def test_a_table_is_one_series(folder, tmp_path, capsys):
    pandas = pytest.importorskip("pandas")
    one = np.load(folder / "past.npy")[0]
    pandas.DataFrame(one, columns=["flow", "heat"]).to_csv(
        tmp_path / "p.csv", index=False
    )
    out = ("--data", tmp_path / "p.csv", "--num", "5", "--out", tmp_path / "f.csv")
    assert call(folder, *out) == 0
    table = pandas.read_csv(tmp_path / "f.csv")
    assert table["feature"].tolist() == ["flow", "heat"] * 3
    assert table["step"].tolist() == [1, 1, 2, 2, 3, 3]
    pandas.DataFrame(one[:, :1], columns=["flow"]).to_csv(
        tmp_path / "q.csv", index=False
    )
    out = ("--data", tmp_path / "q.csv", "--out", tmp_path / "x.csv")
    assert call(folder, *out) == 2
    assert "takes series of 2 features" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--steps 12", "steps must be less than the 12 steps"),
        ("--out x.txt", "--out takes a .png, .npy, .csv, .tsv or .parquet file"),
        ("--data nowhere.npy", "there is no file nowhere.npy"),
    ],
)
def test_mistakes_are_explained_in_a_sentence(folder, capsys, words, sentence):
    assert call(folder, *words.split()) == 2
    assert sentence in capsys.readouterr().err
