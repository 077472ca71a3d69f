"""The page of the family: every model with its numbers, pictures, and graphs."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from kvae.core.atomic import make_folder, replacing, write_text
from kvae.evaluation.result import Estimate
from kvae.family.graph import Graph
from kvae.family.measure import NUM_LABELS, Pictures
from kvae.reports.page import Page
from kvae.reports.pictures import image_grid, picture_png, scatter_png

Results = dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]]


def write_page(
    path: pathlib.Path, pictures: Pictures, results: Results, facts: dict[str, Any]
) -> None:
    """Writes the page, and its pictures and graphs as files of their own.

    Args:
        path: of the page; its pictures go to the folder `pictures` beside it.
        pictures: the data.
        results: by the name of the model, what `read_result` returned.
        facts: of the run, by name.
    """
    folder = path.parent / "pictures"
    make_folder(folder)
    page = Page(f"The family on {pictures.name}")
    page.facts([("models", str(len(results)))], facts)
    page.text(
        "Every model saw the same pictures, whose pixels were rounded to 0 and 1. Nothing "
        "was selected: samples are the first ones of a seed."
    )
    test = _sheet(pictures.test[:64])
    _save(folder / "test.png", test)
    page.picture(test, "Real pictures, of the test set.")
    page.section("What each describes")
    page.grid(
        ["model", "what it models", "what it minimizes", "source"],
        [
            [r["title"], r["models"], r["cost"], r["source"]]
            for r, _ in results.values()
        ],
    )
    page.section("Numbers of the test set")
    page.grid(*numbers(pictures, results))
    for sentence in reading(pictures):
        page.text(sentence)
    for name, (result, arrays) in results.items():
        _model(page, folder, name, result, arrays, pictures)
    write_text(path, page.html())


def numbers(pictures: Pictures, results: Results) -> tuple[list[str], list[list[str]]]:
    """The table of numbers: its header, and a row for each model."""
    header = [
        "model",
        "log p(x), nats",
        "Frechet",
        "kernel distance",
        "squared error",
        "code",
        "k-NN accuracy",
        "CPU seconds",
        "weights",
    ]
    rows = [_reference(pictures)]
    for result, _ in results.values():
        likelihood = result.get("log_likelihood")
        kernel = result.get("kernel")
        rows.append(
            [
                result["title"],
                _nats(likelihood),
                _number(result.get("frechet"), ".1f"),
                "-"
                if kernel is None
                else str(Estimate(kernel["value"], kernel["standard_error"])),
                _number(result.get("squared_error"), ".3f"),
                _number(result.get("code_size"), "d"),
                _number(result.get("neighbor_accuracy"), ".1%"),
                _number(result["training_seconds"], ".0f"),
                f"{result['num_weights']:,}",
            ]
        )
    return header, rows


def reading(pictures: Pictures) -> list[str]:
    """How to read the table."""
    return [
        "log p(x) is the mean over test pictures with its standard error, which includes "
        "that of the method. Probabilities of pixels that are 0 or 1 can be compared with "
        "each other. A density (marked so) is of pixels with normal noise added: compare "
        "it with other densities only.",
        "Frechet and kernel distance are between samples, rounded to 0 and 1, and as many "
        f"test pictures, in the features of {pictures.features.name}. The first row has "
        "training pictures in place of samples: no model can expect less. The Frechet "
        "distance is biased by the number of pictures, the kernel distance is not.",
        "Squared error is that of reconstructions, per pixel; longer codes have it easier. "
        "k-NN accuracy is the share of test pictures whose 5 nearest training pictures, by "
        "their codes, have its label most often.",
        f"The ladder network is given {NUM_LABELS} labels of each class; the conditional "
        "VAE is given all, and its code need not tell what the label says.",
    ]


def _reference(pictures: Pictures) -> list[str]:
    frechet, kernel = pictures.distances(pictures.train[: len(pictures.test)])
    train = pictures.train[:10_000]
    few = Pictures(**{**vars(pictures), "train_labels": pictures.train_labels[:10_000]})
    accuracy = few.neighbor_accuracy(train, pictures.test)
    size = str(int(np.prod(pictures.test.shape[1:])))
    row = ["the pixels themselves", "-", f"{frechet:.1f}", str(kernel), "0", size]
    return [*row, f"{accuracy:.1%}", "-", "-"]


def _nats(likelihood: dict[str, Any] | None) -> str:
    if likelihood is None:
        return "-"
    shown = str(Estimate(likelihood["value"], likelihood["error"]))
    return f"{shown} (density)" if likelihood["density"] else shown


def _number(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)


def _model(
    page: Page,
    folder: pathlib.Path,
    name: str,
    result: dict[str, Any],
    arrays: dict[str, np.ndarray],
    pictures: Pictures,
) -> None:
    page.section(result["title"])
    page.text(f"It models {result['models']}. It minimizes {result['cost']}.")
    if "log_likelihood" in result:
        likelihood = result["log_likelihood"]
        page.text(f"log p(x) is {_nats(likelihood)} nats: {likelihood['method']}.")
    if "test_error" in result:
        page.text(
            f"From {NUM_LABELS} labels per class, it gets {result['test_error']:.1%} of "
            "the test pictures wrong."
        )
    for kind, words in (("training", "In training"), ("use", "In use")):
        svg = Graph(*result[f"{kind}_graph"]).svg()
        write_text(folder / f"{name}-{kind}.svg", svg)
        page.drawing(svg, f"{words}. Blue is data, orange is drawn, red is minimized.")
    if "samples" in arrays:
        sheet = _sheet(arrays["samples"])
        _save(folder / f"{name}-samples.png", sheet)
        page.picture(sheet, f"{len(arrays['samples'])} samples, not selected.")
        few = len(arrays["nearest"])
        rows = np.stack([arrays["samples"][:few], arrays["nearest"]])
        page.picture(
            _sheet(rows),
            "Samples, and below each the nearest training picture. On average "
            f"{result['nearest_pixels']:.1f} of {arrays['nearest'][0].size} pixels differ.",
        )
    if "reconstructions" in arrays:
        shown = arrays["reconstructions"]
        page.picture(
            _sheet(np.stack([pictures.test[: len(shown)], shown])),
            "Test pictures, and their reconstructions below.",
        )
    if "map" in arrays:
        axes = ("first principal component", "second principal component")
        page.picture(
            scatter_png(arrays["map"], pictures.test_labels, axes),
            f"Codes of the test pictures by label; the plane shows "
            f"{result['map_explained']:.0%} of their variance.",
        )
    lacks = {
        "sample": "No samples",
        "encode": "No codes",
        "reconstruct": "No reconstructions",
        "log_likelihood": "No log p(x)",
    }
    for method, why in result["missing"].items():
        page.text(f"{lacks[method]}: {why}.")


def _sheet(pictures: np.ndarray) -> bytes:
    """Tiles pictures (N, H, W, 1), 16 in a row, or rows of pictures as they are."""
    if pictures.ndim == 4:
        pictures = pictures[: len(pictures) // 16 * 16]
        pictures = pictures.reshape(-1, 16, *pictures.shape[1:])
    return picture_png(image_grid(pictures), 600)


def _save(path: pathlib.Path, png: bytes) -> None:
    with replacing(path) as beside:
        beside.write_bytes(png)
