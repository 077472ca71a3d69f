"""A finished run is trained further, as if it had never ended."""

import csv
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from support.quick_runs import MIXTURE, QUICK, copied

import kvae
from kvae.core.errors import UserError
from kvae.training import Run, RunDirectory, load_recipe, open_run, resume, train
from kvae.training.run import further_epochs


def rows(path: pathlib.Path) -> list[dict[str, str]]:
    with RunDirectory(path).history_file.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_more_epochs_give_the_weights_of_a_run_that_had_them_from_the_start(
    tmp_path: pathlib.Path,
) -> None:
    """Bit for bit, where the learning rate does not depend on the number of epochs.

    The prior that its recipe fits is fitted again.
    """
    settings = [*QUICK, *MIXTURE, "schedule=constant"]
    whole = train(
        load_recipe("digits", settings=[*settings, "epochs=3"]), tmp_path / "a"
    )
    train(load_recipe("digits", settings=settings), tmp_path / "b")
    further = resume(tmp_path / "b", epochs=3)
    for one, other in zip(
        whole.vae.get_weights(), further.vae.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert len(rows(tmp_path / "a")) == 3
    assert further.metrics["test"] == whole.metrics["test"]
    opened = open_run(tmp_path / "b")
    assert further.config.epochs == opened.config.epochs == 3
    assert isinstance(opened.vae.prior, kvae.priors.GaussianMixture)
    directory = RunDirectory(tmp_path / "b")
    assert isinstance(directory.load_trained().prior, kvae.priors.StandardNormal)
    assert directory.is_finished()
    assert resume(tmp_path / "b", epochs=3).metrics["test"] == whole.metrics["test"]
    with pytest.raises(UserError, match="already has 3 epochs.*--epochs 6"):
        resume(tmp_path / "b", epochs=2)


@pytest.mark.slow
def test_an_unfinished_run_is_resumed_first_on_the_cosine_of_all_epochs(
    trained: Callable[..., Run],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A run that was killed on the way further resumes with and without --epochs.

    After a third, the rate is 1e-3 (0.01 + 0.99 (1 + cos(pi / 3)) / 2) = 7.525e-4.
    """
    directory = copied(trained(), tmp_path / "a").directory
    assert float(rows(tmp_path / "a")[0]["learning_rate"]) == pytest.approx(1e-5)
    directory.checkpoints.mkdir(exist_ok=True)
    # Killed between the configuration and the checkpoint: it is still a finished run.
    with monkeypatch.context() as patch:
        patch.setattr(further_epochs.CheckpointFolder, "save", lambda *_: None)
        further_epochs.add_epochs(directory, directory.read_config(), 3)
    assert directory.is_finished()
    assert len(rows(tmp_path / "a")) == 1
    with caplog.at_level("INFO", "kvae"):
        further_epochs.add_epochs(directory, directory.read_config(), 3)
    assert "the learning rate resumes at 0.00075, on a cosine over 3" in caplog.text
    assert not directory.is_finished()
    with pytest.raises(UserError, match="not finished, and ends after 3 epochs"):
        resume(tmp_path / "a", epochs=4)
    resume(tmp_path / "a", epochs=3)
    rates = [float(row["learning_rate"]) for row in rows(tmp_path / "a")]
    expected = 1e-3 * (0.01 + 0.99 * (1 + np.cos(np.pi * 2 / 3)) / 2)
    np.testing.assert_allclose(rates[1:], [expected, 1e-5], rtol=1e-4)
