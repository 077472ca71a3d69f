"""Runs on data that stay on disk: trained, resumed, checked, as those in memory."""

import logging
import pathlib
from typing import Any

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.training import Config, RunDirectory, load_recipe, open_run, resume, train
from kvae.training.data.sources import ExamplesOnDisk

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
QUICK = {
    "epochs": 2,
    "batch_size": 32,
    "latent_dim": 2,
    "network": "mlp",
    "validation": 20,
    "kl_warmup": 1,
    "encoder": {"units": [8]},
    "decoder": {"units": [8]},
}


def write(folder: pathlib.Path, x: np.ndarray, labels: np.ndarray) -> None:
    """150 examples in three shards, and as many for the test as are left."""
    folder.mkdir()
    for i, rows in enumerate(np.split(np.arange(150), [40, 41])):
        np.save(folder / f"train-{i}.npy", x[rows])
        np.save(folder / f"train-{i}-labels.npy", labels[rows])
    np.save(folder / "test.npy", x[150:])
    np.save(folder / "test-labels.npy", labels[150:])


def images() -> tuple[np.ndarray, np.ndarray]:
    labels = RNG.integers(0, 3, 180)
    x = RNG.integers(0, 80, (180, 6, 6)) + 80 * labels[:, None, None]
    return x.astype("uint8"), labels


def config(data: pathlib.Path, **changes: Any) -> Config:
    return load_recipe(None, {"data": str(data), **QUICK, **changes})


def test_a_run_from_disk_is_the_run_from_memory_also_if_it_was_resumed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With labels, drawn pixels, KL warm-up: history and weights to the bit.

    A disk that fails in the second epoch ends the run in words; then it resumes.
    """
    x, labels = images()
    write(tmp_path / "shards", x, labels)
    np.savez(
        tmp_path / "x.npz",
        train=x[:150],
        test=x[150:],
        train_labels=labels[:150],
        test_labels=labels[150:],
    )
    changes = {"condition": "label", "binarize": "dynamic", "likelihood": "bernoulli"}
    changes |= {"checkpoint": "1 steps", "epochs": 3}
    memory = train(config(tmp_path / "x.npz", **changes), tmp_path / "memory")
    asked = config(tmp_path / "shards", **changes)
    through = train(asked, tmp_path / "through")
    assert isinstance(through.data.train, ExamplesOnDisk)
    opened = open_run(through.directory.path)
    np.testing.assert_array_equal(opened.data.test, through.data.test)
    plain, batches = ExamplesOnDisk.read, 0

    def failing(self: ExamplesOnDisk, rows: np.ndarray) -> np.ndarray:
        nonlocal batches
        batches += len(rows) <= 32
        if batches > 12:  # of 5 in each epoch, some are read ahead
            raise UserError("train-0.npy cannot be read: the disk is gone.")
        return plain(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(ExamplesOnDisk, "read", failing)
        with pytest.raises(UserError, match="the disk is gone"):
            train(asked, tmp_path / "cut")
    directory = RunDirectory.open(tmp_path / "cut", finished=False)
    assert list(directory.checkpoints.glob("*.npz"))
    for run in (through, resume(tmp_path / "cut")):
        assert run.metrics["test"] == memory.metrics["test"]
        history = (each.directory.history_file.read_text() for each in (run, memory))
        assert next(history) == next(history)
        for one, other in zip(
            run.vae.get_weights(), memory.vae.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("value", "changes", "message"),
    [
        (np.nan, {}, "examples 0 to 129: x holds 36 entries that are NaN"),
        (1.5, {"likelihood": "bernoulli"}, "examples 0 to 129: Bernoulli expects"),
        (1.5, {"binarize": "dynamic", "likelihood": "bernoulli"}, "pixels range from"),
    ],
)
def test_a_wrong_example_that_no_sample_holds_is_found_before_training(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    value: float,
    changes: dict[str, Any],
    message: str,
) -> None:
    x, labels = images()
    x = np.float32(x) / 255
    x[120] = value
    write(tmp_path / "data", x, labels)
    rows = np.arange(50)
    monkeypatch.setattr(ExamplesOnDisk, "sample_rows", lambda self, labels=None: rows)
    asked = config(tmp_path / "data", **changes)
    with caplog.at_level(logging.INFO, "kvae"), pytest.raises(UserError, match=message):
        train(asked, tmp_path / "run")
    assert "reading all 130 examples once" in caplog.text
    assert not (tmp_path / "run" / "history.csv").exists()


def test_integers_beyond_what_the_sample_reached_are_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample of zeros and ones is taken for bits; a 255 elsewhere is not."""
    x, labels = images()
    x = (x > 120).astype("uint8")
    x[120] = 255
    write(tmp_path / "data", x, labels)
    rows = np.arange(50)
    with monkeypatch.context() as patch:
        patch.setattr(ExamplesOnDisk, "sample_rows", lambda self, labels=None: rows)
        with pytest.raises(UserError, match="0 to 255, while a sample.*pixel_max=255"):
            train(config(tmp_path / "data"), tmp_path / "run")
        given = config(tmp_path / "data", pixel_max=255)
        run = train(given, tmp_path / "second")
    assert run.data.train.divisor == 255
