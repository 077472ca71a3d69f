"""Whatever is typed, the command ends with a sentence and a status, never as a bug.

Hypothesis draws arguments from the options that the verbs themselves have. What trains,
exports, or takes long is not begun: it counts as done when its arguments are accepted.
"""

from __future__ import annotations

import argparse
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fuzz import SETTINGS
from support.quick_runs import copied

from kvae.export.explore.explorer import Explorer
from kvae.family import command as family_command
from kvae.training.commands import (
    encode_run,
    evaluate_runs,
    sample_run,
    study_recipe,
    verbs,
)
from kvae_cli import main
from kvae_cli.arguments import parser

VALUES = [
    "", " ", "x", "-1", "0", "1", "3", "nan", "inf", "1e999", "0.5", "9" * 30, "-", "--",
    "\x1b[31mred", "a\nb", "a\0b", "caf\udce9", "a" * 300, "~nobody/x", "..", "/", ".",
    "/dev/null", "/dev/null/x", "run", "run/config.toml", "run/model.keras", "x.npy",
    "text.npy", "empty", "new", "new.npy", "digits", "mnist", "label", "left-half",
    "float32", "int8", "elbo", "latents", "normal", "8x8", "0x0", "1e3x2", "crop",
    "beta_vae", "a=b", "epochs=1", "epochs=-1", "epochs=nan", "encoder.units=[]",
    "encoder.units=512", "encoder=[[[", "objective.beta=x", "prior=VampPrior", "=",
    "latent_dim=2147483647", "kl_warmup=-1", "likelihood={name=3}", "mirrored",
    "2147483647", "4294967296", "1,2", "True", "None", "٣",
]  # fmt: skip


def verbs_and_options() -> dict[str, list[argparse.Action]]:
    """The options of each verb, from the parser itself."""
    choices: Any = next(
        action.choices
        for action in parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return {name: sub._actions for name, sub in choices.items()}


OPTIONS = verbs_and_options()


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A verb, its places, and some of its options, each with any value."""
    verb = draw(st.sampled_from([*OPTIONS, *OPTIONS, "", "evalute"]))
    value = st.one_of(st.sampled_from(VALUES), st.text(max_size=4))
    words = [verb]
    for action in OPTIONS.get(verb, []):
        if not action.option_strings and draw(st.integers(0, 9)):
            words.append(draw(st.one_of(st.just("run"), value)))
    named = [a for a in OPTIONS.get(verb, []) if a.option_strings]
    for action in draw(st.lists(st.sampled_from(named), max_size=3)) if named else []:
        if action.dest == "help":
            continue
        words.append(action.option_strings[-1])
        if action.nargs != 0 and draw(st.integers(0, 9)):
            words.append(draw(value))
    return words


@pytest.fixture(scope="module", autouse=True)
def folder(
    trained: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A folder with a run and odd files, and verbs that begin nothing long."""
    before, here = pathlib.Path.cwd(), tmp_path_factory.mktemp("commands")
    os.chdir(here)
    copied(trained(), here / "run")
    np.save("x.npy", np.random.default_rng(0).random((40, 8, 8, 1), "float32"))
    pathlib.Path("text.npy").write_text("not an array")
    pathlib.Path("empty").mkdir()

    def done(*_: Any, **__: Any) -> Any:
        raise SystemExit(0)

    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (verbs, "train_run"),
            (verbs, "resume_run"),
            (verbs, "export_model"),
            (sample_run, "fit_mixture"),
            (sample_run, "fit_run_prior"),
            (sample_run, "undo_fit_prior"),
            (evaluate_runs, "evaluate_run"),
            (evaluate_runs, "measure_test"),
            (evaluate_runs, "report_run"),
            (evaluate_runs, "compare_runs"),
            (study_recipe, "run_study"),
            (encode_run, "encode_shards"),
            (family_command, "compare"),
            (Explorer, "serve"),
        ):
            patch.setattr(module, name, done)
        yield here
    os.chdir(before)


def check(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    status = main.main(words)
    out, err = capsys.readouterr()
    assert status in (0, 1, 2), (words, err[-500:])
    assert "Traceback" not in err, (words, err[-2000:])
    assert "this is a bug in kvae" not in err, (words, err[-2000:])
    assert status == 0 or err.strip(), words
    assert "\x1b" not in out + err, words


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, **SETTINGS)
@given(words=command_lines())
def test_some_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    check(words, capsys)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@settings(max_examples=500, **SETTINGS)
@given(words=command_lines())
def test_many_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    check(words, capsys)
