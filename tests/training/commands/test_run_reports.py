"""The verbs that judge runs: every evaluation, one page, runs side by side."""

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from support.quick_runs import DRAWN, copied

from kvae import evaluation
from kvae.training import Run
from kvae.training.commands import run_reports
from kvae.training.commands.run_reports import first_test_inputs
from kvae_cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(
    trained: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: copied(trained(*settings), folder / name)
        for name, settings in (
            ("longer", ["epochs=6", "latent_dim=3"]),
            ("shorter", []),
            ("other", DRAWN),
            ("gray", ["likelihood=bernoulli"]),
        )
    }


def test_evaluations_by_name_go_into_the_metrics(runs, capsys) -> None:
    path = str(runs["longer"].directory.path)
    line = ["evaluate", path, "--only", "latents,log_likelihood", "--examples", "20"]
    assert main.main([*line, "--num-samples", "8"]) == 0
    said = capsys.readouterr().out
    kept = runs["longer"].directory.read_metrics()
    found = kept["evaluation"]["log_likelihood"]
    assert found["num_examples"] == 20
    assert found["num_samples"] == 8
    assert kept["test"] == runs["longer"].metrics["test"]  # what was there stays
    assert "LogLikelihoodResult" in said
    assert "LatentUsage" in said
    wanted = evaluation.log_likelihood(
        runs["longer"].vae, runs["longer"].data.test[:20], 8
    )
    assert found["log_likelihood"] == wanted.log_likelihood.to_dict()


def test_report_writes_a_page_that_stands_alone(runs, capsys, tmp_path) -> None:
    path = runs["shorter"].directory.path
    out = tmp_path / "page.html"
    line = ["report", str(path), "--num-samples", "16", "--examples", "60"]
    assert main.main([*line, "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    html = out.read_text(encoding="utf-8")
    assert "shorter: a VAE of digits" in html
    assert not re.findall(r'(?:src|href)="(?!data:)', html)  # nothing is fetched
    kept = json.loads((path / "metrics.json").read_text())["evaluation"]
    assert {"log_likelihood", "elbo", "latents", "samples"} <= set(kept)
    assert main.main([*line, "--out", str(out)]) == 2  # never writes over a page


def test_compare_is_paired_and_says_what_differs(runs, capsys, tmp_path) -> None:
    paths = [runs[name].directory.path for name in ("longer", "shorter")]
    out = tmp_path / "compared.html"
    line = ["compare", *map(str, paths), "--num-samples", "16", "--examples", "50"]
    assert main.main([*line, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    values = [
        evaluation.log_likelihood(runs[name].vae, runs[name].data.test[:50], 16)
        for name in ("longer", "shorter")
    ]
    gap = values[0].per_example - values[1].per_example
    assert str(evaluation.Estimate.mean_of(gap)) in said
    rows = {line[:15].strip(): line.split() for line in said.splitlines()}
    assert rows["latent_dim"][1:] == ["3", "2"]
    assert rows["epochs"][1:] == ["6", "1"]
    assert "batch_size" not in rows  # the same in both
    html = out.read_text(encoding="utf-8")
    assert html.count("data:image/png") == 2
    assert str(evaluation.Estimate.mean_of(gap)) in html


def test_runs_of_other_test_examples_are_not_compared(runs, capsys) -> None:
    def refusal(*names: str) -> str:
        paths = [str(runs[name].directory.path) for name in names]
        assert main.main(["compare", *paths]) == 2
        return capsys.readouterr().err

    assert "other has other test examples than longer" in refusal("longer", "other")
    assert "longer gives a density of x and gray a probability" in refusal(
        "longer", "gray"
    )
    assert "the same run is listed twice" in refusal("longer", "longer")
    assert "needs at least two runs" in refusal("longer")


def test_only_the_first_examples_are_taken(runs) -> None:
    few = first_test_inputs(runs["longer"], 7)
    np.testing.assert_array_equal(few.x, runs["longer"].data.test[:7])


def test_a_mistaken_evaluation_is_refused(runs, capsys) -> None:
    path = str(runs["longer"].directory.path)
    assert main.main(["evaluate", path, "--only", "likelihood"]) == 2
    assert "unknown evaluation 'likelihood'" in capsys.readouterr().err
    assert main.main(["evaluate", path, "--examples", "5"]) == 2
    assert "--examples needs --only" in capsys.readouterr().err


def test_names_are_as_short_as_they_can_be(tmp_path) -> None:
    a, b, c = (tmp_path / name for name in ("x/run", "y/run", "y/other"))
    assert run_reports._short_names([b, c]) == ["run", "other"]
    assert run_reports._short_names([a, b]) == ["x/run", "y/run"]
