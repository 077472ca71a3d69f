"""A run and a folder of images that moves, grows or is named like something else."""

import json
import pathlib
from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.quick_runs import QUICK

from kvae.training import Run, UserError, load_recipe, open_run, train
from kvae.training.commands import run_reports
from kvae.training.commands.encode_run import encode
from kvae.training.commands.evaluate_runs import report
from kvae.training.data.sources import load_data, located
from kvae.training.run.runner import resume

NAMES = ("bird", "cat", "dog")


def write(
    folder: pathlib.Path,
    names: tuple[str, ...],
    each: int,
    size: tuple[int, int] = (12, 8),
    levels: int = 256,
) -> None:
    """Images 12 high and 8 wide, one folder per label."""
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            pixels = rng.integers(0, levels, size, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02d}.png")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    base = tmp_path_factory.mktemp("moved")
    write(base / "photos", NAMES, 12)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(base)
        settings = [*QUICK, "data=photos", "condition=label"]
        return train(load_recipe("digits", settings=settings), base / "run")


def test_a_run_finds_its_data_from_anywhere(
    run: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run.directory.path
    monkeypatch.chdir(tmp_path)
    assert open_run(path).config.data == str(path.parent / "photos")
    assert located("mnist") == "mnist"


def test_labels_of_another_folder_go_by_name(run: Run, tmp_path: pathlib.Path) -> None:
    base = run.directory.path
    write(tmp_path / "fewer", ("cat", "dog"), 3)
    encode(base, tmp_path / "out", data=str(tmp_path / "fewer"))
    table = pq.read_table(tmp_path / "out")
    assert table["label"].to_pylist() == [1, 1, 1, 2, 2, 2]
    data = load_data(str(tmp_path / "fewer"))
    assert data.shape == (12, 8, 1)  # as in training: not scaled to a square
    write(tmp_path / "other", ("cat", "horse"), 3)
    with pytest.raises(UserError, match="it does not know 'horse'"):
        encode(base, tmp_path / "none", data=str(tmp_path / "other"))


def test_a_run_is_no_folder_of_data(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run.directory.path
    with pytest.raises(UserError, match="is a run of kvae train, not a folder of data"):
        load_data(str(folder))
    monkeypatch.chdir(folder.parent)
    with pytest.raises(UserError, match="there is no data set 'run'"):
        load_data("run")
    assert located("run") == "run"


@pytest.mark.slow
def test_a_run_without_its_record_has_a_report(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    record = run.directory.path / "run.json"
    text = record.read_text()
    monkeypatch.setattr(run_reports, "evaluate_within", lambda *_: {})
    record.unlink()
    try:
        report(record.parent, None, 10, 10, tmp_path / "page.html")
        assert "<html" in (tmp_path / "page.html").read_text()
        assert run.directory.check_versions() == ["run.json is missing or damaged"]
    finally:
        record.write_text(text)


def test_a_run_whose_data_have_changed_is_refused(run: Run) -> None:
    """Another number of files is another split: test examples were trained on."""
    path = run.directory.path
    added = path.parent / "photos" / "cat" / "zz.png"
    write(path.parent / "photos", NAMES, 12)
    Image.fromarray(np.zeros((12, 8), np.uint8)).save(added)
    before = json.loads((path / "run.json").read_text())["data"]
    try:
        with pytest.raises(UserError, match="have changed since it was trained"):
            open_run(path)
        (path / "checkpoints").mkdir()
        (path / "checkpoints" / "0.npz").write_bytes(b"")
        with pytest.raises(UserError, match=f"was {before['train']} and is"):
            resume(path)
    finally:
        added.unlink()
        for file in (path / "checkpoints").iterdir():
            file.unlink()
        (path / "checkpoints").rmdir()
    assert open_run(path).data.describe()["train"] == before["train"]


@pytest.mark.slow
def test_labels_that_nothing_is_conditioned_on_are_written_as_they_are(
    trained: Callable[..., Run], tmp_path: pathlib.Path
) -> None:
    write(tmp_path / "other", ("cat", "horse"), 3, (8, 8), levels=17)
    encode(trained().directory.path, tmp_path / "out", data=str(tmp_path / "other"))
    table = pq.read_table(tmp_path / "out")
    assert table["label"].to_pylist() == [0, 0, 0, 1, 1, 1]
