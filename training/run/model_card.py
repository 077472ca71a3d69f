"""The page that says what a run's model is: README.md of its folder."""

from __future__ import annotations

from typing import Any

import kvae
from kvae.core.atomic import write_text
from kvae.core.front_matter import front_matter
from kvae.training.run.metrics_file import title, value_and_error
from kvae.training.run.run_directory import RunDirectory

_PICTURES = {
    "samples.png": "Samples",
    "reconstructions.png": "Test examples and their reconstructions",
    "completions.png": "Test examples and their completions",
}
_LAST = "<!-- kvae writes this file again, unless you remove this line. -->"


def write_card(directory: RunDirectory, vae: Any) -> None:
    """Writes README.md: the model, its numbers and pictures, and how to load it.

    Its first lines are the metadata that model hubs read. A file without the last line of
    a card is yours, and stays.

    Args:
        directory: of a finished run, with its metrics and pictures.
        vae: its model.
    """
    path = directory.path / "README.md"
    if path.is_file() and _LAST not in path.read_text("utf-8", "replace"):
        return
    parts = [
        f"{front_matter()}\n\n# {directory.path.resolve().name}",
        _about(directory, vae),
        _pictures(directory),
        "## Load it",
        _loading(vae),
        "## Numbers",
        _numbers(directory.read_metrics()),
        "## Model",
        _model(vae),
        "## Training",
        _training(directory),
        _LAST,
    ]
    write_text(path, "\n\n".join(filter(None, parts)) + "\n")


def _about(directory: RunDirectory, vae: Any) -> str:
    data = directory.facts().get("data", {})
    shape = "x".join(map(str, vae.data_shape))
    count = data.get("train")
    trained = f"{count} examples of shape {shape}" if count else f"shape {shape}"
    return (
        f"A variational autoencoder with {vae.count_params():,} weights, trained with "
        f"kvae {kvae.__version__} on {data.get('name', 'data')}: {trained}."
    )


def _pictures(directory: RunDirectory) -> str:
    shown = [
        f"![{words}]({name})"
        for name, words in _PICTURES.items()
        if (directory.path / name).is_file()
    ]
    return "\n\n".join(shown)


def _loading(vae: Any) -> str:
    needs = ', condition="..."' if vae.condition is not None else ""
    return (
        "```python\n"
        "import keras\n"
        "import kvae  # pip install keras-vae\n\n"
        'vae = keras.saving.load_model("model.keras")\n'
        f"x = vae.sample(16, seed=0{needs})\n"
        "```"
    )


def _numbers(metrics: dict[str, Any]) -> str:
    tables = []
    for key, rows in metrics.items():
        if key != "test" and not key.startswith("test_"):
            continue
        rows = {name: row for name, row in rows.items() if isinstance(row, dict)}
        count = next(iter(rows.values()))["num_examples"]
        heading = f"Of {count} test examples"
        if key == "test_as_trained":
            heading += ", with the prior of training"
        elif key != "test":
            heading += f" ({key.removeprefix('test_').replace('_', ' ')})"
        lines = [f"{heading}:", "", "| | value | unit | how |", "|---|---|---|---|"]
        lines += [_row(name, row) for name, row in rows.items()]
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _row(name: str, row: dict[str, Any]) -> str:
    cells = (title(name), value_and_error(name, row), row["unit"], row["estimator"])
    return f"| {' | '.join(cells)} |"


def _model(vae: Any) -> str:
    latents = "x".join(map(str, vae.latent_shape))
    rows = [
        ("latents", latents),
        *(
            (part, f"`{type(getattr(vae, part)).__name__}`")
            for part in ("posterior", "prior", "likelihood", "objective")
        ),
        ("precision", vae.dtype_policy.name),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def _training(directory: RunDirectory) -> str:
    facts, training = directory.facts(), directory.read_metrics().get("training", {})
    lines = [
        f"- {key}: {training[key]:g}"
        for key in ("epochs", "seconds", "fit_prior_seconds")
        if training.get(key) is not None
    ]
    lines += [f"- {note}" for note in facts.get("data", {}).get("notes", ())]
    versions = facts.get("versions", {})
    lines.append(
        "- " + ", ".join(f"{name} {value}" for name, value in versions.items())
    )
    lines.append(
        "- `config.toml` has every setting: `kvae train config.toml --out NEW` repeats "
        "the run."
    )
    return "\n".join(lines)
