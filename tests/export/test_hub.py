"""Pushing to the Hugging Face Hub, against a double that keeps files in a folder."""

import fnmatch
import inspect
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import kvae_cli.main
from kvae.core.errors import UserError
from kvae.export import push_to_hub


class Hub:
    """What huggingface_hub.HfApi does with the arguments that kvae passes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[dict[str, Any]] = []

    def __call__(self, *, library_name: str) -> "Hub":
        assert library_name == "kvae"
        return self

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> str:
        if repo_id.startswith("else/"):
            raise OSError("403 Forbidden")
        (self.root / repo_id).mkdir(parents=True, exist_ok=exist_ok)
        self.calls.append({"repo_id": repo_id, "private": private})
        return f"https://hub/{repo_id}"

    def upload_folder(
        self,
        *,
        repo_id: str,
        folder_path: Path,
        commit_message: str,
        ignore_patterns: list[str],
    ) -> None:
        for file in sorted(folder_path.rglob("*")):
            name = file.relative_to(folder_path).as_posix()
            if file.is_file() and not any(
                fnmatch.fnmatch(name, pattern) for pattern in ignore_patterns
            ):
                target = self.root / repo_id / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
        self.calls[-1]["message"] = commit_message


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    double = Hub(tmp_path / "hub")
    module = types.ModuleType("huggingface_hub")
    module.HfApi = double  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return double


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "digits"
    for name in (
        *("config.toml", "README.md", "model.keras", "pictures/0.png"),
        *("checkpoints/1.npz", "export/export.json", ".lock", "pictures/.hidden"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def files(folder: Path) -> list[str]:
    found = (p for p in folder.rglob("*") if p.is_file())
    return sorted(p.relative_to(folder).as_posix() for p in found)


def test_a_run_is_pushed_without_what_belongs_to_this_machine(
    hub: Hub, run: Path
) -> None:
    assert push_to_hub(run, "ann/digits") == "https://hub/ann/digits"
    pushed = files(hub.root / "ann/digits")
    assert pushed == ["README.md", "config.toml", "model.keras", "pictures/0.png"]
    expected = {"repo_id": "ann/digits", "private": True}
    assert hub.calls == [expected | {"message": "Upload digits with kvae"}]


def test_an_export_is_pushed_and_again(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    (folder / "litert").mkdir(parents=True)
    for name in ("export.json", "README.md", "litert/decoder.tflite"):
        (folder / name).write_text(name)
    for _ in range(2):
        push_to_hub(folder, "ann/exported", private=False, message="Second try")
    assert "litert/decoder.tflite" in files(hub.root / "ann/exported")
    assert hub.calls[-1]["message"] == "Second try"
    assert hub.calls[-1]["private"] is False


def test_the_verb_prints_the_address(
    hub: Hub, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kvae_cli.main.main(["push", str(run), "ann/digits", "--public"]) == 0
    assert capsys.readouterr().out == "https://hub/ann/digits\n"
    assert hub.calls[-1]["private"] is False


def test_what_cannot_be_pushed_is_refused(hub: Hub, run: Path) -> None:
    with pytest.raises(UserError, match="is not a run or an export"):
        push_to_hub(run / "pictures", "ann/digits")
    with pytest.raises(UserError, match="must be \"user/name\".*received 'digits'"):
        push_to_hub(run, "digits")
    with pytest.raises(UserError, match="403 Forbidden Are you logged in.*hf auth"):
        push_to_hub(run, "else/digits")
    (run / "README.md").unlink()
    with pytest.raises(UserError, match=r"no README.md.*--resume"):
        push_to_hub(run, "ann/digits")
    assert not hub.calls


def test_without_the_package_the_pip_command_is_named(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"keras-vae\[hub\]"):
        push_to_hub(run, "ann/digits")


def test_the_installed_package_has_the_arguments_that_the_double_has() -> None:
    api = pytest.importorskip("huggingface_hub").HfApi
    for name in ("create_repo", "upload_folder"):
        ours = inspect.signature(getattr(Hub, name)).parameters
        assert set(ours) <= set(inspect.signature(getattr(api, name)).parameters)
