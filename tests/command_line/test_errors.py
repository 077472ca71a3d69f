"""What goes wrong in the system is said in one sentence, and never called a bug."""

import errno
import logging
import os
import pathlib

import pytest

from kvae.core.errors import UserError
from kvae.training.config.config import Config
from kvae.training.config.load_recipe import load_recipe
from kvae_cli import main
from kvae_cli.errors import explain, printable


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 9), 2, "aaaaaaaaa: "),
        (
            PermissionError(errno.EACCES, "Permission denied", "runs/a"),
            1,
            "runs/a: Perm",
        ),
        (OSError(errno.EIO, "Input/output error"), 1, "Input/output error."),
        (MemoryError("Unable to allocate 7 TiB"), 1, "not enough memory. Unable to"),
        (UserError("no file \x1b[31mred\x1b[0m"), 2, r"no file \x1b[31mred\x1b[0m"),
        (UnicodeEncodeError("utf-8", "caf\udce9", 3, 4, "x"), 2, r"caf\udce9. Rename"),
        (RuntimeError("Could not determine home directory."), 2, "begins with ~"),
    ],
)
def test_the_system_is_quoted(
    error: Exception, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(error) == status
    said = capsys.readouterr().err
    assert said.startswith("kvae: ")
    assert words in said
    assert said.count("\n") == 1


def test_anything_else_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(KeyError("x")) == 1
    assert "this is a bug in kvae" in capsys.readouterr().err


def test_letters_of_all_languages_are_printed() -> None:
    assert printable("Ünïcode 数字 a\nb") == "Ünïcode 数字 a\nb"
    assert printable("\x1b]0;title\x07\udce9\r") == r"\x1b]0;title\x07\udce9\r"


@pytest.mark.parametrize(
    "path", ["a" * 300, "~nosuchuser/run", "a\x1b[31m", "caf\udce9", "/dev/null/x", ""]
)
@pytest.mark.parametrize("verb", ["sample", "evaluate", "verify", "explore"])
def test_odd_paths_end_in_a_sentence(
    verb: str,
    path: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main([verb, path]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "\x1b" not in said


def test_the_log_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    main._show_log(False)
    logging.getLogger("kvae").info("%s: 3 files", "a\x1b[31m")
    assert capsys.readouterr().err == "a\\x1b[31m: 3 files\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter any folder")
def test_a_run_that_may_not_be_entered_is_said(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir(mode=0o600)
    assert main.main(["sample", str(tmp_path / "run")]) == 1
    assert "Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 10**25),
        ("eval_samples", 2**63 - 1),
        ("batch_size", 2**31),
        ("pixel_max", 1e-320),
        ("pixel_max", 10**400),
        ("learning_rate", 1e300),
        ("kl_warmup", float("nan")),
    ],
)
def test_absurd_numbers_are_refused_at_the_start(key: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{key} must be"):
        Config(**{key: value})


def test_brackets_without_end_are_refused() -> None:
    deep = "[" * 5000 + "]" * 5000
    with pytest.raises(UserError, match="brackets of prior are nested too deeply"):
        load_recipe("digits", settings=[f"prior={deep}"])
