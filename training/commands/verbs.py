"""What each verb of the command line does; results go to standard output."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kvae.core.atomic import write_text
from kvae.core.command import command_name
from kvae.core.errors import UserError, user_errors
from kvae.core.extras import require
from kvae.core.inputs import Inputs
from kvae.detection import Detector
from kvae.export import PRECISIONS, push_to_hub
from kvae.export import export as export_model
from kvae.export.explore import PackagesMissing, open_export
from kvae.objectives import is_completing
from kvae.training.commands.detect_run import detect
from kvae.training.commands.encode_run import encode
from kvae.training.commands.evaluate_runs import compare, evaluate, report, show_metrics
from kvae.training.commands.forecast_run import forecast
from kvae.training.commands.output_paths import changed_data, new_file
from kvae.training.commands.sample_run import fit_prior, impute, sample
from kvae.training.commands.study_recipe import study
from kvae.training.commands.walk_run import attribute, interpolate
from kvae.training.config.config import Config, describe_keys
from kvae.training.config.load_recipe import load_recipe, recipe_names
from kvae.training.data.sources.source import is_run
from kvae.training.run.completion import (
    inputs_for_test,
    read_images,
    read_mask,
    save_completions,
)
from kvae.training.run.fitted_prior import misses_prior
from kvae.training.run.label_attributes import MOST_LABELS, label_attributes
from kvae.training.run.pictures import is_image
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.runner import Run, open_run
from kvae.training.run.runner import resume as resume_run
from kvae.training.run.runner import train as train_run

_LOG = logging.getLogger("kvae")
_LABELED = 5000  # examples that attribute vectors of an export are found from


def quickstart(
    out: pathlib.Path, settings: list[str] | None = None, verbose: bool = False
) -> None:
    """Trains on bundled digits, evaluates, samples, and exports.

    Args:
        out: the folder to create.
        settings: "key=value" changes to the recipe.
        verbose: print all checks of the export.
    """
    with _resumable(out):
        run = train_run(load_recipe("digits", settings=settings), out)
    _show(run)
    _export(run, out / "export", verbose)
    command = command_name()
    print(f"\nRun saved to {out}. Look at {out / 'samples.png'}. Next, try:")
    print(f"  {command} sample {out} --seed 1 --out more.png")
    print(f"  {command} explore {out}")
    print(f"  {command} train mnist --out runs/mnist")


def train(
    recipe: str | None,
    changes: dict[str, Any],
    settings: list[str] | None,
    out: pathlib.Path | None,
    resume: pathlib.Path | None = None,
    keys: bool = False,
) -> None:
    """Trains a model from a recipe or a data source, or resumes a run.

    Args:
        recipe: a name or path; None uses the defaults for `changes["data"]`.
        changes: values by key of the configuration; None leaves the recipe's.
        settings: "key=value" changes, applied last.
        out: the folder to create; runs/NAME if None.
        resume: the folder of a run, which has its own recipe.
        keys: only list all keys of recipes, with their defaults and meanings.

    Raises:
        UserError: if there is neither a recipe nor a data source.
    """
    if keys:
        print(describe_keys())
        return
    if resume is not None:
        with _resumable(resume):
            _tell(_resumed(resume, recipe, changes, settings, out))
        return
    given = [text.partition("=")[0].strip() for text in settings or []]
    if recipe is None and changes.get("data") is None and "data" not in given:
        raise UserError(
            f"say what to train on: a recipe ({', '.join(recipe_names())}), or --data."
        )
    config = load_recipe(recipe, changes, settings)
    out = out or pathlib.Path("runs") / _name(recipe, config)
    with _resumable(out):
        _tell(train_run(config, out))


def complete(
    path: pathlib.Path,
    images: list[pathlib.Path],
    mask: str | None = None,
    num: int = 8,
    seed: int = 0,
    out: pathlib.Path | None = None,
) -> None:
    """Fills in the hidden part of images.

    Args:
        path: of the run.
        images: files, scaled if the run scales images.
        mask: the name of a family, or an image that is white where it is visible; the
            run's own masks if None.
        num: completions of each image.
        seed: of masks and completions.
        out: a .png or .npy file; in the run if None.
    """
    directory = RunDirectory.open(path)
    out = new_file(out or directory.path / f"completed-{images[0].stem}-{seed}.png")
    wanted = directory.read_config().complete if mask is None else mask
    if wanted is None:
        raise UserError("say what is hidden, for example --mask left-half.")
    vae = directory.load_model()
    pixel_range = directory.pixel_range()
    if not is_image(vae.data_shape):
        raise UserError(
            f"the model of {path} takes examples of shape {vae.data_shape}, which are "
            "not images."
        )
    if vae.condition is not None and not is_completing(vae):
        raise UserError(
            f"the model of {path} is conditioned on {vae.condition}, which kvae "
            "complete doesn't support. In Python: "
            f'vae.complete({{"x": x, "condition": c}}, mask).'
        )
    x = read_images(images, vae.data_shape, pixel_range, directory.read_config())
    if mask is not None:
        wanted = read_mask(mask, len(x), vae.data_shape)
    with user_errors():
        save_completions(out, vae, x, wanted, num, seed, pixel_range)
    print(f"Saved {num} completions of each of {len(x)} images to {out}")


def export(
    path: pathlib.Path,
    data_dir: str | None = None,
    out: pathlib.Path | None = None,
    precisions: str = "float32",
    everything: bool = False,
    license: str | None = None,
    serving: bool = False,
    verbose: bool = False,
    detector: pathlib.Path | None = None,
    alpha: float = 0.01,
) -> None:
    """Exports a model for servers and phones, and checks the files against Keras.

    Args:
        path: of the run.
        data_dir: where TFDS keeps its data now; None if it has not moved.
        out: the folder to create; RUN/export if None.
        precisions: of the .tflite files, separated by commas.
        everything: write all precisions, batch size 1, and files with every endpoint.
        license: of the weights, for the model cards.
        serving: whether to add warm-up requests and the configuration of a model server.
        verbose: print all checks.
        detector: the folder of a saved detector, for the endpoint `detect`.
        alpha: the share of false alarms of that endpoint.
    """
    chosen = tuple(PRECISIONS) if everything else tuple(precisions.split(","))
    unknown = [name for name in chosen if name not in PRECISIONS]
    if unknown:
        raise UserError(
            f"--precisions takes {', '.join(PRECISIONS)}; received {unknown[0]!r}."
        )
    run = open_run(path, changed_data(data_dir))
    _export(
        run,
        out or run.directory.path / "export",
        verbose,
        precisions=chosen,
        batches=(None, 1) if everything else (None,),
        whole_model=everything,
        license=license,
        serving=serving,
        detector=None if detector is None else Detector.load(detector),
        alpha=alpha,
    )


def push(path: pathlib.Path, repo_id: str, public: bool = False) -> None:
    """Uploads a run or an export to the Hugging Face Hub.

    Args:
        path: of the run or the export.
        repo_id: "user/name".
        public: whether a new repository is visible to everyone.
    """
    print(push_to_hub(path, repo_id, private=not public))


def explore(
    path: pathlib.Path,
    data_dir: str | None = None,
    litertjs: pathlib.Path | None = None,
    fetch: bool = False,
    port: int = 0,
) -> None:
    """Shows a model on a page in the browser, until it is interrupted.

    Args:
        path: what `export` made, or a run, which is exported first.
        data_dir: where TFDS keeps the data of the run; None if they have not moved.
        litertjs: a folder that holds the npm packages of LiteRT.js.
        fetch: install them by npm if they are not found, without asking.
        port: on 127.0.0.1; 0 takes any free port.
    """
    if not path.is_dir():
        raise UserError(f"there is no folder {path}.")
    require("ai_edge_litert.interpreter", "the page of an export", "mobile")
    if is_run(path):
        path = _exported(path, data_dir)
    with user_errors():
        try:
            explorer = open_export(path, litertjs, fetch)
        except PackagesMissing:
            if litertjs is not None or not _agrees_to_fetch(path):
                raise
            explorer = open_export(path, litertjs, True)
        server = explorer.serve(port)
    with server:
        print(f"{path} is on {server.url}\nStop with Ctrl-C.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            server.serve_forever()


def _exported(path: pathlib.Path, data_dir: str | None) -> pathlib.Path:
    """Returns the export of a run; creates it if the current model has none."""
    out, model = path / "export", RunDirectory.open(path).model_file
    made = out / "export.json"
    if not made.is_file():
        _export(open_run(path, changed_data(data_dir)), out, verbose=False)
    elif made.stat().st_mtime < model.stat().st_mtime:
        raise UserError(
            f"{out} is older than the model of {path}, which has been trained further "
            "or given another prior. Remove the folder to export the model again."
        )
    return out


def _agrees_to_fetch(path: pathlib.Path) -> bool:
    """Asks whether npm may install LiteRT.js; without a terminal the answer is no."""
    if not sys.stdin.isatty():
        return False
    question = (
        f"LiteRT.js is missing. Install it from npm into {path / 'explore'}? [Y/n] "
    )
    return input(question).strip().lower() in ("", "y", "yes")


VERBS: dict[str, Callable[..., None]] = {
    "quickstart": quickstart,
    "train": train,
    "fit-prior": fit_prior,
    "evaluate": evaluate,
    "report": report,
    "compare": compare,
    "sample": sample,
    "interpolate": interpolate,
    "attribute": attribute,
    "complete": complete,
    "forecast": forecast,
    "detect": detect,
    "impute": impute,
    "encode": encode,
    "study": study,
    "export": export,
    "explore": explore,
    "push": push,
}


def _resumed(
    path: pathlib.Path,
    recipe: str | None,
    changes: dict[str, Any],
    settings: list[str] | None,
    out: pathlib.Path | None,
) -> Run:
    if recipe or settings or out or set(changes) - {"data_dir", "epochs"}:
        raise UserError(
            f"--resume continues {path} with its own config.toml; the only other options "
            "are --data-dir and, for a finished run, --epochs."
        )
    return resume_run(
        path, changed_data(changes.get("data_dir")), changes.get("epochs")
    )


@contextlib.contextmanager
def _resumable(path: pathlib.Path) -> Iterator[None]:
    """Says how to resume a run that is interrupted while the block runs."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        run = RunDirectory(path.expanduser())
        if any(run.checkpoints.glob("*.npz")):
            _LOG.warning("Resume with: %s train --resume %s", command_name(), path)
        raise


def _show(run: Run) -> None:
    """Prints the numbers of a run, or those before the fit of a prior if they take long."""
    if "test" in run.metrics:
        show_metrics(run.metrics["test"], run.data.name)
    else:
        name = f"{run.data.name}, with the prior of training"
        show_metrics(run.metrics["test_as_trained"], name)


def _tell(run: Run) -> None:
    if run.metrics:  # else another worker tells
        _show(run)
        print(f"\nRun saved to {run.directory.path}")
        if misses_prior(run.vae, run.data, run.config):
            command = f"{command_name()} fit-prior {run.directory.path}"
            print(
                "The latents of the data do not follow N(0, I), from which samples are "
                "drawn. For samples that look more like the data, fit a prior: "
                f"{command}"
            )


def _export(run: Run, out: pathlib.Path, verbose: bool, **options: Any) -> None:
    test = Inputs.of(inputs_for_test(run.data, run.config)).to_dict()
    examples = {key: value[:640] for key, value in test.items()}
    report = export_model(
        run.vae, out, examples, attributes=_label_attributes(run), **options
    )
    table = run.directory.path / f"{out.name}-checks.txt"
    write_text(table, f"{report}\n")
    print(f"\nExported to {out}: {report.summary()}")
    print(report if verbose else f"All checks are in {table}")


def _label_attributes(run: Run) -> Any:
    """Returns the attribute vectors of the labels, or None where there are none to show."""
    labels = run.data.train_labels
    if labels is None or run.vae.condition is not None or is_completing(run.vae):
        return None
    if run.vae.posterior.space != "R^D":
        return None
    if not 2 <= len(np.unique(labels)) <= MOST_LABELS:
        return None
    return label_attributes(run.vae, run.data, run.config, _LABELED)


def _name(recipe: str | None, config: Config) -> str:
    given = pathlib.Path(recipe or config.data)
    name = given.parent.name if given.name == "config.toml" else given.stem
    preset = config.preset
    if isinstance(preset, dict):
        preset = preset.get("name")
    return f"{name}-{preset}" if preset else name
