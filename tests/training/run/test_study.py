"""A study: its runs, its table, and the rule behind what it recommends."""

import csv
from pathlib import Path

import numpy as np
import pytest

import kvae_cli.main
from kvae.core.errors import UserError
from kvae.training.run.measure import measure
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.runner import open_run
from kvae.training.run.study import Point, Study, split_values
from kvae.training.run.study_advice import recommend

SIZES = ["2", "4", "8", "16"]


def points(elbo: list[float], rate: list[float], spread: float = 0.1) -> list[Point]:
    """Three seeds around each mean, with a standard error of spread / sqrt(3)."""
    around = np.array([-spread, 0.0, spread])
    return [
        Point({"latent_dim": size}, {"elbo": e + around, "rate": r + around})
        for size, e, r in zip(SIZES, elbo, rate, strict=True)
    ]


def test_the_validation_set_chooses_and_the_test_set_judges() -> None:
    """8 is best on the test set, but the choice doesn't see it."""
    found = points([-50.0, -40.0, -30.0, -35.0], [5.0, 8.0, 12.0, 12.1])
    around = np.array([-0.1, 0.0, 0.1])
    for point, elbo in zip(found, [-51.0, -41.0, -37.0, -31.0], strict=True):
        point.numbers["validation_elbo"] = elbo + around
    first, _, judged, rule = recommend(found, {"latent_dim": SIZES})
    assert first.startswith("latent_dim: take 16, with a validation ELBO of -31.00")
    assert "On the test set, which had no part in the choice, latent_dim=16" in judged
    assert "has an ELBO of -35.000 ± 0.058 nats" in judged
    assert "validation" not in rule


def test_the_smallest_value_that_is_not_clearly_worse_is_recommended() -> None:
    varied = {"latent_dim": SIZES}
    found = points([-50.0, -40.0, -30.05, -30.0], [5.0, 8.0, 12.0, 12.1])
    first, second, optimistic, rule = recommend(found, varied)
    assert "There is no validation set" in optimistic
    assert first.startswith("latent_dim: take 8, with an ELBO of -30.05")
    assert "16 has -30.000 ± 0.058, which is not clearly better" in first
    assert "the rate stops growing at 8" in second
    assert "within two standard errors" in rule


def test_a_best_value_at_the_edge_is_said() -> None:
    varied = {"latent_dim": SIZES}
    found = points([-50.0, -40.0, -30.0, -20.0], [5.0, 8.0, 12.0, 15.0])
    first, second, *_ = recommend(found, varied)
    assert "take 16" in first
    assert "at the edge of the study, so try larger ones" in first
    assert "the rate still grows at the largest value" in second
    assert "the next best value has -30.000" in first


def test_wide_errors_make_the_smallest_value_good_enough() -> None:
    found = points([-31.0, -30.9, -30.5, -30.0], [5.0] * 4, spread=2.0)
    assert "take 2," in recommend(found, {"latent_dim": SIZES})[0]


def test_order_is_that_of_numbers_and_other_keys_stay_at_their_best() -> None:
    values = {"learning_rate": ["0.01", "0.001"], "network": ["mlp", "conv"]}
    elbo = {("0.01", "mlp"): -3.0, ("0.01", "conv"): -9.0,
            ("0.001", "mlp"): -5.0, ("0.001", "conv"): -1.0}  # fmt: skip
    found = [
        Point(
            {"learning_rate": a, "network": b},
            {"elbo": np.array([e]), "rate": np.array([1.0])},
        )
        for (a, b), e in elbo.items()
    ]
    rate, network, _, seeds = recommend(found, values)
    assert rate.startswith("learning_rate: take 0.001")
    assert rate.endswith("try smaller ones too (at network=conv).")
    assert network.startswith("network: take conv")
    assert "--seeds 3" in seeds


def test_values_are_split_outside_brackets_and_quotes() -> None:
    assert split_values("2,4") == ["2", "4"]
    assert split_values("[64,32], [8]") == ["[64,32]", "[8]"]
    assert split_values('{name="a",b=1},"x,y"') == ['{name="a",b=1}', '"x,y"']


def test_every_combination_has_each_seed_and_one_configuration() -> None:
    vary = ["latent_dim=2,3", "encoder.units=[8],[4,4]"]
    plan = Study.of("digits", vary, 2, settings=["seed=5", "epochs=1"])
    assert len(plan.configs) == 8
    config = plan.configs["latent_dim=3,encoder.units=[4,4],seed=6"]
    assert (config.latent_dim, config.seed, config.epochs) == (3, 6, 1)
    assert config.encoder == {"units": [4, 4]}
    assert config.fit_prior == "none"  # also where a run would choose one
    kept = Study.of("digits", ["fit_prior=mixture"], 1).configs
    assert [c.fit_prior for c in kept.values()] == ["mixture"]


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ("latent_dim", "KEY=VALUE,VALUE"),
        ("latent_dim=2,,4", "KEY=VALUE,VALUE"),
        ("latent_dim=2,2", "repeats"),
        ("seed=1,2", "--seeds varies the seed"),
        ("latent_dims=2", "Did you mean latent_dim"),
        ("epochs=1,-1", "epochs"),
    ],
)
def test_mistakes_are_told_before_training(vary: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Study.of("digits", [vary], 1)


def test_a_study_without_end_is_refused() -> None:
    with pytest.raises(UserError, match="at most 10000 runs; this one has 2000000"):
        Study.of("digits", ["latent_dim=2,4"], 1_000_000)


@pytest.mark.slow
def test_a_study_trains_what_is_missing_and_reports_it(tmp_path: Path) -> None:
    small = "--set epochs=1 --set encoder.units=[8] --set decoder.units=[8] --quiet"
    out = tmp_path / "study"
    line = f"study digits --vary latent_dim=2 --seeds 2 {small} --out {out}".split()
    line += ["--workers", "2"]
    assert kvae_cli.main.main(line) == 0
    rows = list(csv.DictReader((out / "study.csv").read_text().splitlines()))
    assert [(r["latent_dim"], r["seed"]) for r in rows] == [("2", "0"), ("2", "1")]
    run = RunDirectory(out / "latent_dim=2,seed=1")
    assert float(rows[1]["elbo"]) == run.read_metrics()["test"]["elbo"]["value"]
    assert rows[0]["elbo"] != rows[1]["elbo"]
    held_out = open_run(run.path)
    expected = measure(held_out.vae, held_out.data.inputs("validation"))["elbo"][
        "value"
    ]
    assert np.isclose(float(rows[1]["validation_elbo"]), expected)
    written = {p: p.stat().st_mtime_ns for p in out.glob("*/model.keras")}
    assert kvae_cli.main.main(line) == 0
    assert len(written) == 2
    assert written == {p: p.stat().st_mtime_ns for p in out.glob("*/model.keras")}
    page = (out / "study.html").read_text()
    assert "latent_dim: take" in page
    assert page.count("<img") == 1
    other = [word.replace("epochs=1", "epochs=2") for word in line]
    assert kvae_cli.main.main(other) == 2
