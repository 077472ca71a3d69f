"""The card of a run says what its files hold, and its code runs as printed."""

import re

import keras
import pytest
from support import small

from kvae.training.config.config import Config
from kvae.training.run.model_card import write_card
from kvae.training.run.run_directory import RunDirectory

ROW = {"unit": "nats", "estimator": "closed form", "num_samples": 1, "num_examples": 50}
METRICS = {
    "test": {
        "elbo": {"value": -3.25, "standard_error": 0.125, **ROW},
        "rate": {"value": None, "standard_error": None, **ROW},
        "pixels": "as they are",
    },
    "training": {"seconds": 1.5, "epochs": 2},
}


@pytest.fixture(scope="module")
def fitted():
    vae = small.vae()
    vae.fit(small.binary(), epochs=1, verbose=0)
    return vae


@pytest.fixture
def directory(fitted, tmp_path):
    directory = RunDirectory.create(tmp_path / "run")
    facts = {"name": "bits", "train": 50, "notes": ["Nothing was done."]}
    directory.write_config(Config(data="digits"), facts)
    directory.write_model(fitted)
    directory.write_metrics(METRICS)
    return directory


def test_it_says_what_the_files_hold(directory, monkeypatch):
    (directory.path / "samples.png").write_bytes(b"")
    vae = directory.load_model()
    write_card(directory, vae)
    text = (directory.path / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: kvae\n")
    assert "| ELBO | -3.25 ± 0.12 | nats | closed form |" in text
    assert "| rate | nan |" in text
    assert f"{vae.count_params():,} weights" in text
    assert "on bits: 50 examples of shape 6" in text
    assert re.findall(r"!\[.*\]\((.*)\)", text) == ["samples.png"]
    monkeypatch.chdir(directory.path)
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1], names)
    assert names["x"].shape == (16, 6)
    assert isinstance(names["vae"], keras.Model)


def test_a_card_that_you_made_your_own_stays(directory):
    path = directory.path / "README.md"
    vae = directory.load_model()
    write_card(directory, vae)
    path.write_text(path.read_text().replace("# run", "# A name"))
    write_card(directory, vae)  # the last line is there
    assert "# run" in path.read_text()
    path.write_text("Mine.\n")
    write_card(directory, vae)
    assert path.read_text() == "Mine.\n"
