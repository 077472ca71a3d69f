"""A finished run is trained further, as if it had never ended."""

import csv
import pathlib

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.training import RunDirectory, load_recipe, open_run, resume, train
from kvae.training.run import further_epochs

QUICK = [
    "encoder.units=[8]",
    "decoder.units=[8]",
    "latent_dim=2",
    "batch_size=128",
    "fit_prior=",
]


def rows(path: pathlib.Path) -> list[dict[str, str]]:
    with RunDirectory(path).history_file.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_more_epochs_give_the_weights_of_a_run_that_had_them_from_the_start(
    tmp_path: pathlib.Path,
) -> None:
    """Bit for bit, where the learning rate does not depend on the number of epochs."""
    settings = [*QUICK, "schedule=constant"]
    whole = train(
        load_recipe("digits", settings=[*settings, "epochs=4"]), tmp_path / "a"
    )
    train(load_recipe("digits", settings=[*settings, "epochs=2"]), tmp_path / "b")
    further = resume(tmp_path / "b", epochs=4)
    for one, other in zip(
        whole.vae.get_weights(), further.vae.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert further.metrics["test"] == whole.metrics["test"]
    assert further.config.epochs == open_run(tmp_path / "b").config.epochs == 4
    assert RunDirectory(tmp_path / "b").is_finished()
    assert resume(tmp_path / "b", epochs=4).metrics["test"] == whole.metrics["test"]
    with pytest.raises(UserError, match="already has 4 epochs.*--epochs 8"):
        resume(tmp_path / "b", epochs=3)


@pytest.mark.slow
def test_the_cosine_is_that_of_all_epochs(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half way, 1e-3 (0.01 + 0.99 (1 + cos(pi / 2)) / 2) = 5.05e-4."""
    train(load_recipe("digits", settings=[*QUICK, "epochs=2"]), tmp_path / "a")
    assert float(rows(tmp_path / "a")[1]["learning_rate"]) == pytest.approx(1e-5)
    with caplog.at_level("INFO", "kvae"):
        resume(tmp_path / "a", epochs=4)
    assert "the learning rate resumes at 0.00051, on a cosine over 4" in caplog.text
    rates = [float(row["learning_rate"]) for row in rows(tmp_path / "a")]
    expected = 1e-3 * (0.01 + 0.99 * (1 + np.cos(np.pi * 3 / 4)) / 2)
    np.testing.assert_allclose(rates[2:], [expected, 1e-5], rtol=1e-4)


@pytest.mark.slow
def test_an_unfinished_run_is_resumed_first(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was killed on the way further resumes with and without --epochs."""
    train(load_recipe("digits", settings=[*QUICK, "epochs=1"]), tmp_path / "a")
    directory = RunDirectory(tmp_path / "a")
    directory.checkpoints.mkdir()
    further_epochs.add_epochs(directory, directory.read_config(), 2)
    assert not directory.is_finished()
    with pytest.raises(UserError, match="not finished, and ends after 2 epochs"):
        resume(tmp_path / "a", epochs=3)
    resume(tmp_path / "a", epochs=2)
    assert len(rows(tmp_path / "a")) == 2
    # Killed between the configuration and the checkpoint: it is still a finished run.
    monkeypatch.setattr(further_epochs.CheckpointFolder, "save", lambda *_: None)
    directory.checkpoints.mkdir()
    further_epochs.add_epochs(directory, directory.read_config(), 3)
    monkeypatch.undo()
    assert directory.is_finished()
    assert len(rows(tmp_path / "a")) == 2
    resume(tmp_path / "a", epochs=3)
    assert len(rows(tmp_path / "a")) == 3
