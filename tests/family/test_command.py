"""`kvae family`: a page of what was measured, and a run that resumes."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import kvae_cli.main
from kvae.core.errors import UserError
from kvae.family import command, make
from kvae.family.measure import Pictures, read_result
from kvae.training import load_data

FEW = ["--only", "pca,autoencoder", "--steps", "0.05"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("family") / "digits"
    assert not kvae_cli.main.main(["family", "--out", str(folder), *FEW])
    return folder


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    found = load_data("digits")
    assert found.train_labels is not None
    assert found.test_labels is not None
    train, test = ((np.asarray(p) > 0.5) * 1.0 for p in (found.train, found.test))
    return train, found.train_labels, test, found.test_labels


@pytest.mark.slow
def test_results_are_those_of_the_model(
    out: Path, data: tuple[np.ndarray, ...]
) -> None:
    train, labels, test, test_labels = data
    result, arrays = read_result(out / "pca")
    model = make("pca").fit(train)
    likelihood = model.log_likelihood(test)
    assert likelihood is not None
    assert np.isclose(result["log_likelihood"]["value"], likelihood.value)
    assert result["log_likelihood"]["density"]
    codes, test_codes = model.encode(train), model.encode(test)
    rule = KNeighborsClassifier(5).fit(codes, labels)
    assert np.isclose(result["neighbor_accuracy"], rule.score(test_codes, test_labels))
    rebuilt = model.reconstruct(test)
    assert np.isclose(result["squared_error"], np.square(rebuilt - test).mean())
    samples = model.sample(len(test), seed=1)
    assert samples is not None
    np.testing.assert_allclose(arrays["samples"], samples[:64])
    differ = np.abs((samples[:10, None] > 0.5) - train[None]).sum((2, 3, 4))
    np.testing.assert_array_equal(arrays["nearest"], train[differ.argmin(1)])
    assert np.isclose(result["nearest_pixels"], differ.min(1).mean())


@pytest.mark.slow
def test_the_page_shows_each_model_and_what_it_lacks(out: Path) -> None:
    page = (out / "family.html").read_text()
    for words in (
        "<h2>PCA</h2>",
        "<h2>Autoencoder</h2>",
        "No samples: it says nothing",
        "(density) nats: exact.",
    ):
        assert words in page
    assert page.count("image/svg+xml") == 4
    assert "http" not in page.replace("http://www.w3.org", "")
    assert (out / "pictures/pca-samples.png").is_file()
    assert not (out / "pictures/autoencoder-samples.png").exists()


@pytest.mark.slow
def test_a_second_call_trains_only_what_is_missing(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    monkeypatch.setattr(command, "_train", lambda name, *_: trained.append(name))
    (out / "pca/result.json").rename(out / "pca/kept.json")
    with pytest.raises(FileNotFoundError):  # the stand-in trains nothing
        command.run("digits", out, only="pca,autoencoder", steps=0.05)
    (out / "pca/kept.json").rename(out / "pca/result.json")
    assert trained == ["pca"]
    assert json.loads((out / "family.json").read_text())["seed"] == 0


@pytest.mark.slow
def test_other_settings_and_foreign_folders_are_refused(
    out: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="holds a comparison with"):
        command.run("digits", out, seed=1)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        command.run("digits", tmp_path)
    with pytest.raises(UserError, match="would be taken for the data"):
        command.run("digits", Path("digits"))  # --data digits would then be this folder
    with pytest.raises(UserError, match="no model 'ganz'"):
        command.run("digits", tmp_path / "new", only="ganz")
    np.save(tmp_path / "color.npy", np.zeros((40, 8, 8, 3), "uint8"))
    with pytest.raises(UserError, match="gray pictures"):
        command.run(str(tmp_path / "color.npy"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_few_labels_are_ten_of_each_class(data: tuple[np.ndarray, ...]) -> None:
    train, labels, test, test_labels = data
    empty = np.zeros((0, 1))
    pictures = Pictures("x", train, labels, test, test_labels, None, empty)  # type: ignore[arg-type]
    kept = pictures.few_labels()
    known = kept >= 0
    np.testing.assert_array_equal(np.bincount(kept[known]), np.full(10, 10))
    np.testing.assert_array_equal(kept[known], labels[known])
