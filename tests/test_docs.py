"""The documents' Python runs as printed, and what they point at exists: all on one page."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from support import trackers
from support.forked_checks import forked_checks

import kvae
from kvae import likelihoods, masks, presets
from kvae.training import recipe_names

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks/README.md"]
)
Names = dict[str, Any]

# What shortens a document's run without changing what it shows.
SHORTER = {
    "epochs=20": "epochs=3",
    "epochs=30": "epochs=3",
    "epochs=60": "epochs=3",
    "num_steps=100": "num_steps=10",  # annealing: cheap, and not to be believed
    "make_flowers(3000)": "make_flowers(240, 16)",  # smaller networks too
    "12, 32, 32, 3)": "12, 16, 16, 3)",
    "image_size=(32, 32)": "image_size=(16, 16)",
    "make_flowers(4000": "make_flowers(400",
    "2800": "200",
}

# What shortens one document's run further.
SHORTER_HERE = {
    "docs/hierarchies.md": {
        ".images > 7": ".images[:160] > 7",
        ".target": ".target[:160]",
        "epochs=20": "epochs=1",
        "width=16": "width=4",
        "4: 2": "4: 1",
    },
    "docs/pictures.md": {
        "384, 32": "384, 64",
        "608, 32": "608, 96",
        "epochs=20": "epochs=1",
    },
    "docs/presets.md": {"steps=50": "steps=5", "epochs=3": "epochs=1"},
    "docs/tables.md": {"epochs=100": "epochs=3"},
}


@pytest.fixture(scope="module", autouse=True)
def _forked_checks() -> Iterator[None]:
    """Exports check their files without an import of TensorFlow for each."""
    with forked_checks():
        yield


def python_of(document: Path) -> str:
    """All Python blocks of a document, in order: they build on one another."""
    blocks = re.findall(r"^```python\n(.*?)^```", document.read_text(), re.M | re.S)
    return "\n".join(blocks)


def run(document: str) -> Names:
    """Runs the Python of a document, shortened, and returns its variables."""
    code = python_of(ROOT / document)
    for long, short in SHORTER_HERE.get(document, {}).items():
        assert long in code, f"{document} has no {long!r} any more"
        code = code.replace(long, short)
    for long, short in SHORTER.items():
        code = code.replace(long, short)
    keras.utils.set_random_seed(0)
    names: Names = {}
    exec(compile(code, document, "exec"), names)
    return names


def check_readme(names: Names) -> None:
    untrained = kvae.VAE.for_data(names["x_train"], latent_dim=24)
    assert names["elbo"].mean() > untrained.elbo(names["x_test"]).mean() + 1
    loaded = keras.saving.load_model("flowers.keras")
    np.testing.assert_array_equal(loaded.elbo(names["x_test"]), names["elbo"])
    assert plt.imread("flowers.png").shape == (3 * 17 + 1, 12 * 17 + 1, 4)


def check_index(names: Names) -> None:
    assert names["samples"].shape == (16, 8, 8)
    assert Path("digits.keras").is_file()


def check_extending(names: Names) -> None:
    loaded = keras.saving.load_model("waits.keras")
    waits = names["waits"]
    np.testing.assert_array_equal(loaded.elbo(waits), names["vae"].elbo(waits))


def check_conditions(names: Names) -> None:
    assert np.shape(names["sevens"]) == (16, 8, 8, 1)
    assert np.shape(names["row"]) == (4, 8, 8, 1)
    rows = np.asarray(names["same_style"])  # the label matters
    assert np.abs(rows - rows[:1]).max(axis=(1, 2, 3, 4))[1:].min() > 0.05


def check_missing_data(names: Names) -> None:
    completed, x = names["completed"].x, names["x_test"][:10]
    np.testing.assert_array_equal(completed[:, 3, :, 4:], x[:, :, 4:])
    assert np.isfinite(names["filled"].multiple).all()


def check_family(names: Names) -> None:
    assert -30 < names["found"].value < -15  # 64 log 2 = 44 nats without a model
    assert names["found"].method == "exact"
    assert names["samples"].shape == (16, 8, 8)


def check_from_scratch(names: Names) -> None:
    assert names["exact"] - 0.05 < names["learned"] < names["exact"]
    gap, rate = names["gap"], names["bound"].rate.value
    assert gap.total_gap.value > gap.approximation_gap.value > 0
    assert 2 < rate < 12
    path, score = (v.var() for v in names["means"])  # of 16 samples
    assert path == pytest.approx(0.8**2 / 16, rel=0.1)
    assert score > 5 * path


def check_evaluation(names: Names) -> None:
    gap = names["found"].log_likelihood.value - names["bound"].elbo.value
    assert 0 < gap < 20  # K samples beat one
    assert Path("report.html").stat().st_size > 10_000


def check_training(names: Names) -> None:
    assert len(names["history"].history["elbo"]) == 3
    again = run("docs/training.md")  # finds the checkpoints
    assert again["history"].history == names["history"].history
    for folder in ("digits", "endless"):
        assert list((Path("runs") / folder).glob("checkpoints/*.npz"))


def check_encoding(names: Names) -> None:
    batches = list(names["batches"])
    for column, read in (("elbo", names["elbo"]), ("loc", names["loc"])):
        records = np.concatenate([batch[column] for batch in batches])
        np.testing.assert_array_equal(records, read)
    assert names["elbo"][names["hardest"]].max() <= np.sort(names["elbo"])[9]


def check_export(names: Names) -> None:
    assert not names["report"].problems
    assert Path("models/digits/1/saved_model.pb").is_file()
    assert Path("decoder.tflite").is_file()


def check_own_loop(names: Names) -> None:
    assert names["after"] > names["before"] + 5


def check_parts(names: Names) -> None:
    assert np.isfinite(names["vae"].elbo(names["x"])).all()


def check_pictures(names: Names) -> None:
    assert names["vae"].latent_shape == (8, 8, 4)
    assert names["pictures"].shape == (16, 32, 32, 3)
    assert names["path"].shape == (7, 32, 32, 3)
    ends = names["vae"].reconstruct(names["tiles"][[0, -1]])
    np.testing.assert_allclose(names["path"][[0, -1]], ends, atol=0.05)
    np.testing.assert_allclose(names["row"][1], ends[0], atol=0.05)


def check_anomalies(names: Names) -> None:
    found, x_new = names["found"], names["x_new"]
    assert found.attribution.shape == x_new.shape
    again = names["detector"].detect(x_new)  # that was loaded
    np.testing.assert_array_equal(again.p_value, found.p_value)
    assert found.score[:5].mean() > found.score[5:].mean()
    assert len(names["names"]) == 10
    assert Path("anomalies.html").stat().st_size > 10_000
    assert 0 < names["result"].p_value <= 1


def check_hierarchies(names: Names) -> None:
    first = {k: v[-1] for k, v in names["history"].history.items()}
    rates = [first[f"rate_{size}"] for size in ("1x1", "2x2", "4x4")]
    assert np.isclose(sum(rates), first["rate"], rtol=1e-3)
    assert list(names["known"]) == ["nothing", "1x1", "2x2", "4x4"]
    assert names["pictures"].shape == (16, 8, 8)
    assert set(np.unique(names["drawn"])) <= {0.0, 1.0}
    assert names["sevens"].shape == (16, 8, 8)


def check_presets(names: Names) -> None:
    found = names["vae"].evaluate(names["x"], verbose=0, return_dict=True)
    assert np.isclose(found["elbo"], -found["rate"] - found["distortion"], rtol=1e-5)
    assert found["perceptual"] > 0
    assert found["pixel_adaptive_weight"] > 0


def check_tables(names: Names) -> None:
    train, synthetic = names["train"], names["synthetic"]
    assert (synthetic.dtypes == train.dtypes).all()
    assert set(names["rows"]["cultivar"]) == {"number 1"}
    assert not names["filled"].isna().any().any()
    assert names["again"] == names["schema"]
    assert names["vae"].elbo(names["test"]).shape == (38,)


def check_series(names: Names) -> None:
    truth, found = names["test"][:, 36:], names["found"]
    assert found.mean.shape == truth.shape
    assert (names["low"] < names["high"]).all()
    naive = np.abs(names["test"][:, 35:36] - truth).mean()
    assert np.abs(found.mean - truth).mean() < 0.7 * naive
    assert set(np.argsort(names["where"])[-4:]) == {20, 21, 22, 23}
    assert names["continued"].shape == (10, 5, 2)


def check_coming_from(names: Names) -> None:
    vae, x = names["vae"], names["x"][:5]
    z = vae.embed(x)
    # The tutorial's reconstruction loss: the cross-entropy of gray pixels, summed.
    p = np.asarray(vae.decode(z).mean(), "float64")
    expected = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(-vae.decode(z).log_prob(x), expected, rtol=1e-4)


def check_trackers(names: Names) -> None:
    for log in (trackers.MLFLOW, trackers.WANDB):
        assert np.isfinite(log["val_elbo"])
    assert np.isfinite(names["best"].elbo(names["x_test"])).all()


def check_generate(names: Names) -> None:
    np.testing.assert_array_equal(np.sort(names["yours"], 0)[0], names["x"][:40].min(0))
    loaded = keras.saving.load_model("flowers.keras")
    assert loaded.sample(2, seed=0).shape == (2, 16, 16, 3)


def check_cluster(names: Names) -> None:
    assert set(names["groups"]) == set(range(10))
    np.testing.assert_array_equal(names["found"][:, 0], range(4))


def check_detect(names: Names) -> None:
    assert names["found"].attribution.shape == (1000, 5)
    assert len(set(names["faults"]) & set(names["worst"])) >= 3


def check_gaps(names: Names) -> None:
    right = names["completed"].x[..., 4:]
    expected = np.broadcast_to(names["examples"][:, None, :, 4:], right.shape)
    np.testing.assert_array_equal(right, expected)
    assert names["inside"].shape == (10, 16)


def check_table(names: Names) -> None:
    assert (names["synthetic"].dtypes == names["train"].dtypes).all()
    assert set(names["severe"]["severe"]) == {"yes"}


def check_condition(names: Names) -> None:
    assert (names["guess"] == names["labels"][1500:]).mean() > 0.5


def check_factors(names: Names) -> None:
    assert names["levels"].shape == names["values"].shape
    assert set(np.unique(names["levels"])) == set(range(10))


def check_server(names: Names) -> None:
    answer = names["answer"]["elbo"]
    np.testing.assert_allclose(answer, names["vae"].elbo(names["x_test"]), rtol=1e-4)


def check_phone(names: Names) -> None:
    ours = names["vae"].sample(32, seed=0)
    np.testing.assert_allclose(names["answer"]["x"], ours, atol=1e-4)
    assert Path("decoder_int8.tflite").is_file()


def check_browser(names: Names) -> None:
    assert Path("decoder.tflite").is_file()


CHECKS: dict[str, Callable[[Names], None]] = {
    "README.md": check_readme,
    "docs/anomalies.md": check_anomalies,
    "docs/coming-from.md": check_coming_from,
    "docs/conditions.md": check_conditions,
    "docs/encoding.md": check_encoding,
    "docs/evaluation.md": check_evaluation,
    "docs/export.md": check_export,
    "docs/extending.md": check_extending,
    "docs/family.md": check_family,
    "docs/from-scratch.md": check_from_scratch,
    "docs/hierarchies.md": check_hierarchies,
    "docs/index.md": check_index,
    "docs/missing-data.md": check_missing_data,
    "docs/own-loop.md": check_own_loop,
    "docs/parts.md": check_parts,
    "docs/pictures.md": check_pictures,
    "docs/presets.md": check_presets,
    "docs/series.md": check_series,
    "docs/tables.md": check_tables,
    "docs/trackers.md": check_trackers,
    "docs/training.md": check_training,
    "docs/tutorials/browser.md": check_browser,
    "docs/tutorials/condition.md": check_condition,
    "docs/tutorials/detect-anomalies.md": check_detect,
    "docs/tutorials/disentangle.md": check_factors,
    "docs/tutorials/embed-and-cluster.md": check_cluster,
    "docs/tutorials/fill-gaps.md": check_gaps,
    "docs/tutorials/generate-pictures.md": check_generate,
    "docs/tutorials/phone.md": check_phone,
    "docs/tutorials/server.md": check_server,
    "docs/tutorials/synthesize-a-table.md": check_table,
}


@pytest.mark.parametrize(
    "document",
    [
        # The first minutes of every user are never left out.
        document
        if document == "README.md"
        else pytest.param(document, marks=pytest.mark.slow)
        for document in CHECKS
    ],
)
def test_python_runs_as_printed(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    if document == "docs/trackers.md":
        trackers.install(monkeypatch)
    CHECKS[document](run(document))


def test_every_document_with_python_is_run() -> None:
    found = {str(d.relative_to(ROOT)) for d in DOCUMENTS if python_of(d)}
    assert found == set(CHECKS)


def test_your_data_table_names_the_likelihood_that_each_line_gives() -> None:
    """The README's table of data: the second column is evaluated on data of the first."""
    rng = np.random.default_rng(0)
    pixels = rng.random((40, 8, 8, 1), "float32")
    holes = np.where(rng.random((40, 6)) < 0.3, np.nan, rng.normal(size=(40, 6)))
    columns = [{"name": "a", "kind": "real"}, {"name": "b", "kind": "binary"}]
    table = pd.DataFrame({"a": rng.normal(size=40), "b": rng.integers(0, 2, 40)})
    data: dict[str, Any] = {
        "images or flags": (pixels > 0.5).astype("float32"),
        "gray or color": pixels,
        "real numbers": rng.normal(size=(40, 6)),
        "the same, with outliers": rng.standard_t(2, (40, 6)),
        "series": rng.normal(size=(40, 20, 3)),
        "8-bit images": rng.integers(0, 256, (40, 8, 8, 1)),
        "counts": rng.poisson(3.0, (40, 6)),
        "categories": rng.integers(0, 4, (40, 6)),
        "a table, as a data frame": table,
        "a table, as an array": table.to_numpy("float64"),
        "examples with labels": pixels,
        "missing values": holes,
        "images with hidden": (pixels > 0.5).astype("float32"),
    }
    text = (ROOT / "README.md").read_text().partition("| your data |")[2]
    lines = text.partition("\n\n")[0].splitlines()[2:]
    rows = [line.strip("| ").split(" | ") for line in lines]
    seen = []
    for words, line, likelihood in rows:
        kind = next((kind for kind in data if words.startswith(kind)), None)
        if kind is None:
            assert "kvae train" in line  # tests/test_doc_commands.py runs the command
            continue
        seen.append(kind)
        names = {
            **vars(likelihoods),
            "VAE": kvae.VAE,
            "presets": presets,
            "x": data[kind],
            "frame": table,
        }
        names |= {"shape": np.shape(data[kind])[1:], "levels": 4, "masks": masks}
        names |= {"labels": rng.integers(0, 3, 40)}
        code = line.split("`")[1].replace("[...]", repr(columns))
        vae = eval(code, names)
        stated = re.match(r"`(\w+)`", likelihood)
        if stated:
            assert type(vae.likelihood).__name__ == stated.group(1), words
    assert seen == list(data)


def test_pictures_of_documents_are_small() -> None:
    large = {
        path.name: path.stat().st_size
        for folder in ("tutorials", "gallery")
        for path in (ROOT / "docs/images" / folder).glob("*.png")
        if path.stat().st_size > 60_000
    }
    assert not large


def test_the_gallery_shows_every_recipe_and_preset() -> None:
    text = (ROOT / "docs/gallery.md").read_text()
    known = {n for n, maker in vars(presets).items() if callable(maker)}
    missing = {n for n in known | set(recipe_names()) if f"`{n}`" not in text} - {
        n for n in recipe_names() if re.search(rf"`kvae train [^|]*\b{n}\b", text)
    }
    assert not missing


def test_relative_links_lead_somewhere() -> None:
    missing = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in DOCUMENTS
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert not missing


def test_every_public_module_has_a_page_of_reference() -> None:
    source = (ROOT / "kvae/__init__.py").read_text()
    public = set(re.findall(r"^from kvae import (\w+) as", source, re.M))
    public |= set(re.findall(r'"(\w+)"', source.partition("_LAZY = ")[2].split(")")[0]))
    pages = {path.stem for path in ROOT.glob("docs/api/*.md")}
    assert pages == public - {"maths"} | {"kvae"}


def test_the_picture_of_the_layers_shows_every_folder() -> None:
    picture = (ROOT / "docs/design.md").read_text().split("```")[1]
    missing = [
        folder.name
        for root in ("kvae", "training", "export")
        for folder in (ROOT / root).iterdir()
        if (folder / "__init__.py").exists() and not folder.is_symlink()
        if not re.search(rf"\b{folder.name}\b", picture)
    ]
    assert not missing


def test_links_to_headings_find_them() -> None:
    missing = []
    for document in DOCUMENTS:
        links = re.findall(
            r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", document.read_text()
        )
        for target, heading in links:
            lines = (document.parent / target if target else document).read_text()
            titles = re.findall(r"^#+ (.*)$", lines, re.M)
            anchors = {
                re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles
            }
            if heading not in anchors:
                missing.append(f"{document.relative_to(ROOT)}: {target}#{heading}")
    assert not missing


def test_files_and_names_in_documents_exist() -> None:
    missing = []
    for document in DOCUMENTS:
        text = document.read_text()
        for path in re.findall(
            r"`((?:tests|benchmarks|examples|training|kvae)/[\w/.]+)`", text
        ):
            if not (ROOT / path).exists():
                missing.append(f"{document.name}: {path}")
        for name in re.findall(r"`(kvae(?:\.\w+)+)", text):
            value: Any = kvae
            for part in name.split(".")[1:]:
                value = getattr(value, part, None)
                if value is None:
                    missing.append(f"{document.name}: {name}")
                    break
    assert not missing
