"""The documents' Python runs as printed, and what they point at exists."""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def python_of(document: Path) -> str:
    """All Python blocks of a document, in order: they build on one another."""
    blocks = re.findall(r"^```python\n(.*?)^```", document.read_text(), re.M | re.S)
    return "\n".join(blocks)


@pytest.fixture
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_readme_example_runs_and_learns(in_empty_folder: Path) -> None:
    keras.utils.set_random_seed(0)
    names: dict[str, object] = {}
    # Twenty epochs are for people; three already tell learning from not learning.
    code = python_of(ROOT / "README.md").replace("epochs=20", "epochs=3, verbose=0")
    assert "verbose=0" in code
    exec(compile(code, "README.md", "exec"), names)
    x, vae = np.asarray(names["x_test"]), names["vae"]
    pixels = np.prod(x.shape[1:])
    # Coin tosses for pixels would cost ln 2 nats each.
    assert vae.elbo(x).mean() > -0.9 * pixels * np.log(2)  # type: ignore[attr-defined]
    assert list(in_empty_folder.glob("*.keras"))


def test_extending_examples_run_and_load_back(in_empty_folder: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(python_of(ROOT / "docs/extending.md"), "extending.md", "exec"), names)
    loaded = keras.saving.load_model(in_empty_folder / "waits.keras")
    waits = names["waits"]
    np.testing.assert_array_equal(loaded.elbo(waits), names["vae"].elbo(waits))  # type: ignore[attr-defined]


def test_conditions_examples_run_and_the_label_matters() -> None:
    keras.utils.set_random_seed(0)
    names: dict[str, object] = {}
    code = python_of(ROOT / "docs/conditions.md").replace(
        "epochs=30", "epochs=2, verbose=0"
    )
    assert "verbose=0" in code
    exec(compile(code, "conditions.md", "exec"), names)
    assert np.shape(names["sevens"]) == (16, 8, 8, 1)
    assert np.shape(names["row"]) == (4, 8, 8, 1)
    rows = np.asarray(names["same_style"])
    assert np.abs(rows - rows[:1]).max(axis=(1, 2, 3, 4))[1:].min() > 0.05


def test_missing_data_examples_run(in_empty_folder: Path) -> None:
    code = python_of(ROOT / "docs/missing-data.md")
    code = code.replace("epochs=20", "epochs=1, verbose=0")
    names: dict[str, Any] = {}
    exec(compile(code, "missing-data.md", "exec"), names)
    completed, x = names["completed"].x, names["x_test"][:10]
    np.testing.assert_array_equal(completed[:, 3, :, 4:], x[:, :, 4:])
    assert np.isfinite(names["filled"].multiple).all()


def test_evaluation_examples_run(in_empty_folder: Path) -> None:
    code = python_of(ROOT / "docs/evaluation.md")
    code = code.replace("epochs=20", "epochs=2, verbose=0")
    code = code.replace("num_steps=100", "num_steps=10")  # cheap, not to be believed
    names: dict[str, Any] = {}
    exec(compile(code, "evaluation.md", "exec"), names)
    gap = names["found"].log_likelihood.value - names["bound"].elbo.value
    assert 0 < gap < 20  # K samples beat one
    assert (in_empty_folder / "report.html").stat().st_size > 10_000


def test_training_examples_run_and_go_on(in_empty_folder: Path) -> None:
    code = python_of(ROOT / "docs/training.md")
    code = code.replace("epochs=20", "epochs=2, verbose=0")
    names: dict[str, Any] = {}
    exec(compile(code, "training.md", "exec"), names)
    assert len(names["history"].history["elbo"]) == 2
    again: dict[str, Any] = {}
    exec(compile(code, "training.md", "exec"), again)  # finds the checkpoints
    assert again["history"].history == names["history"].history
    for folder in ("digits", "endless"):
        assert list((in_empty_folder / "runs" / folder).glob("checkpoints/*.npz"))


def test_encoding_examples_run(in_empty_folder: Path) -> None:
    code = python_of(ROOT / "docs/encoding.md")
    code = code.replace("epochs=20", "epochs=1, verbose=0")
    names: dict[str, Any] = {}
    exec(compile(code, "encoding.md", "exec"), names)
    batches = list(names["batches"])
    for column, read in (("elbo", names["elbo"]), ("loc", names["loc"])):
        records = np.concatenate([batch[column] for batch in batches])
        np.testing.assert_array_equal(records, read)
    assert names["elbo"][names["hardest"]].max() <= np.sort(names["elbo"])[9]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text())
    missing = [t for t in targets if not (document.parent / t).exists()]
    assert not missing
