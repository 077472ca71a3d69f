"""Builds the page of an export: the model's files, the facts about it, the server."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.atomic import write_json
from kvae.export.checks.verification import (
    NoExport,
    damage,
    load_cases,
    read_manifest,
    sha256,
)
from kvae.export.errors import ExportRefused
from kvae.export.explore.litertjs import PACKAGES, fetch_packages, find_packages
from kvae.export.explore.server import PageServer
from kvae.export.explore.web_files import (
    NUM,
    find_file,
    make_decoder,
    make_detector,
    make_sampler,
)
from kvae.noise import counter_normal

_LOG = logging.getLogger("kvae")

_PAGE = Path(__file__).parent / "page"
_UNDETECTED = (
    "To judge pictures here, export with --all (whole_model=True, batches=(None, 1))."
)
_DRAWN = {"key": [7, 0], "num": 64, "dim": 32}  # compared by the page before it starts


@dataclasses.dataclass(frozen=True)
class Explorer:
    """The contents of the page of one export.

    Attributes:
        about: what the page must know of the model, as JSON types.
        model_files: "decode" and perhaps "latents" and "detect", .tflite of fixed batch
            size.
        packages: the folders of LiteRT.js by the name of the package.
    """

    about: dict[str, Any]
    model_files: dict[str, Path]
    packages: dict[str, Path]

    def serve(self, port: int = 0) -> PageServer:
        """Opens the server; the caller runs its `serve_forever`.

        Args:
            port: on 127.0.0.1; 0 takes a free one.

        Raises:
            ValueError: if the port is not available.
        """
        contents: dict[str, bytes | Path] = {
            f"/{file.name}": file for file in _PAGE.iterdir() if file.is_file()
        }
        contents["/"] = _PAGE / "index.html"
        contents["/model.json"] = json.dumps(self.about).encode()
        for name, file in self.model_files.items():
            contents[f"/model/{name}.tflite"] = file
        folders = {f"/npm/{name}/": folder for name, folder in self.packages.items()}
        try:
            return PageServer(contents, folders, port)
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"port {port} is not available ({error}); leave out --port to get a "
                "free one."
            ) from error


class PackagesMissing(ValueError):
    """LiteRT.js is not installed in any of the expected places."""


def open_export(directory: Any, litertjs: Any = None, fetch: bool = False) -> Explorer:
    """Gets ready to show an exported model.

    The decoder of batch size 1 is taken from the export, or made from its SavedModel
    into directory/explore/ and compared with what Keras computed. The same holds for
    the prior's draws, unless the prior is the standard normal, which the page draws
    from by itself, and for the decisions of a detector of pictures.

    Args:
        directory: what `kvae.export.export` made.
        litertjs: a folder that holds the npm packages of LiteRT.js; without it they are
            looked for in ./node_modules and directory/explore/node_modules.
        fetch: install them into the latter by npm if they are found nowhere.

    Returns:
        explorer: ready to serve.

    Raises:
        ValueError: if the directory is not an undamaged export, or LiteRT.js is missing;
            as `ExportRefused`, if the decoder does not convert.
        ParityFailed: if a file made here does not compute what Keras computed.
    """
    directory = Path(directory).expanduser()
    manifest = _read_manifest(directory)
    cache = directory / "explore"
    packages = _packages(cache, litertjs, fetch)
    files, notes = _model_files(directory, manifest, cache)
    about = _about(directory, manifest, files, " ".join(notes))
    return Explorer(about, files, packages)


def _read_manifest(directory: Path) -> dict[str, Any]:
    try:
        manifest = read_manifest(directory)
    except NoExport as error:
        raise ValueError(f"{error}; use a folder that kvae export made.") from error
    if problems := damage(directory, manifest):
        raise ValueError(f"{problems[0]}: {directory} is damaged; export again.")
    if all(file["kind"] != "saved_model" for file in manifest["files"]):
        raise ValueError(f"{directory} has no SavedModel; export the model again.")
    return manifest


def _packages(cache: Path, litertjs: Any, fetch: bool) -> dict[str, Path]:
    own = [Path.cwd(), cache] if litertjs is None else [Path(litertjs).expanduser()]
    found = find_packages(own)
    if found is None and fetch and litertjs is None:
        _make(cache)
        fetch_packages(cache)
        found = find_packages([cache])
    if found is None:
        raise PackagesMissing(
            f"{' and '.join(PACKAGES)} are not in "
            f"{' or '.join(str(place) for place in own)}. Add --fetch to let npm "
            f"install them into {cache}, or run: npm install {PACKAGES[0]}, and pass "
            "its folder with --litertjs PATH."
        )
    return found


def _model_files(
    directory: Path, manifest: dict[str, Any], cache: Path
) -> tuple[dict[str, Path], list[str]]:
    """Returns the files by name, and what is missing in words."""
    made = [("decode", make_decoder, "")]
    if manifest["model"]["prior"] != "StandardNormal":
        made.append(("latents", make_sampler, "No samples: {}"))
    if _detects(manifest):
        made.append(("detect", make_detector, _UNDETECTED))
    files, notes = {}, []
    for name, make, without in made:
        found = find_file(directory, manifest, name)
        try:
            path = cache / f"{name}.tflite"
            files[name] = found or _kept(directory, manifest, path, make)
        except ExportRefused as error:
            if not without:
                raise
            notes.append(without.format(error))
    return files, notes


def _detects(manifest: dict[str, Any]) -> bool:
    """Whether there is a detector, and the page can show what it takes: pictures."""
    inputs = set(_signatures(manifest).get("detect", {}))
    shape = manifest["model"]["data_shape"]
    picture = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
    return picture and inputs in ({"x"}, {"x", "condition"})


def _signatures(manifest: dict[str, Any]) -> dict[str, Any]:
    file = next(f for f in manifest["files"] if f["kind"] == "saved_model")
    found: dict[str, Any] = file["signatures"]
    return found


def _kept(
    directory: Path,
    manifest: dict[str, Any],
    path: Path,
    make: Callable[[Path, dict[str, Any], Path], None],
) -> Path:
    """Returns a file that was made from this export and compared; else makes it again."""
    note = path.with_suffix(".json")
    try:
        before = json.loads(note.read_text("utf-8"))
        if before == _note(manifest, path):
            return path
        _LOG.warning("%s was changed since it was made; making it again.", path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError):
        _LOG.warning("%s cannot be read; making the file again.", note)
    _make(cache=path.parent)
    make(directory, manifest, path)
    write_json(note, _note(manifest, path))
    return path


def _note(manifest: dict[str, Any], path: Path) -> dict[str, str]:
    return {"export": manifest["digest"], "sha256": sha256(path)}


def _make(cache: Path) -> None:
    try:
        cache.mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{cache} cannot be created ({error.strerror}), but the files for the "
            "browser go there. Copy the export to a writable place."
        ) from error


def _about(
    directory: Path, manifest: dict[str, Any], files: dict[str, Path], note: str
) -> dict[str, Any]:
    model = manifest["model"]
    standard = model["prior"] == "StandardNormal"
    drawn = counter_normal(tf.constant(_DRAWN["key"]), tf.range(_DRAWN["num"]), 1, 32)
    parts = [model[part] for part in ("posterior", "prior", "likelihood")]
    return {
        "name": _name(directory),
        "facts": f"{model['latent_dim']} latent dimensions, {', '.join(parts)}",
        "note": note or "Everything is computed in this browser.",
        "latent_dim": model["latent_dim"],
        **_order(model),
        "attributes": _attributes(directory),
        "latent_shape": model.get("latent_shape", [model["latent_dim"]]),
        "data_shape": model["data_shape"],
        "num": NUM,
        "latents": "page" if standard else "file" if "latents" in files else None,
        "detect": _detection(directory, manifest) if "detect" in files else None,
        "condition": _condition(manifest),
        "range": _value_range(directory),
        "drawn": {**_DRAWN, "values": drawn.numpy().ravel().tolist()},
    }


def _name(directory: Path) -> str:
    """The name of an export, or of the run that it is in."""
    path = directory.resolve()
    in_run = path.name == "export" and (path.parent / "config.toml").is_file()
    return path.parent.name if in_run else path.name


def _order(model: dict[str, Any]) -> dict[str, Any]:
    """The latents, those that carry the most first, and the nats of each if known."""
    latents = range(model["latent_dim"])
    # Exports of earlier versions have neither; a mixture as prior has no rate per latent.
    rates, variances = model.get("rate_per_latent"), model.get("variance_per_latent")
    sizes = rates or variances or [0.0] * len(latents)
    return {"order": sorted(latents, key=lambda d: -sizes[d]), "rates": rates}


def _attributes(directory: Path) -> dict[str, Any] | None:
    """The names and vectors of attributes, if the export has any."""
    path = directory / "attributes.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _condition(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """Shape, dtype and labels of the condition, as the decoder takes it."""
    spec = _signatures(manifest)["decode"].get("condition")
    if spec is None:
        return None
    return {
        "shape": spec["shape"][1:],
        "dtype": spec["dtype"],
        "classes": manifest["model"].get("classes"),
    }


def _detection(directory: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the detector decides with, and the examples that the export recorded."""
    cases = load_cases(directory / "parity.npz")
    case = cases.get(("real", "detect")) or cases["random", "detect"]
    x, nats = case["in"]["x"], case["out"]["attribution"]
    by_pixel = nats.reshape(*x.shape[:3], -1).sum(axis=-1)
    return {
        **manifest["model"]["detection"],
        # The nats of full red, as in the heat maps of reports.
        "full": max(float(np.quantile(by_pixel, 0.98)), 1.0),
        "examples": x.reshape(len(x), -1).tolist(),
    }


def _value_range(directory: Path) -> list[float]:
    """The values shown black and white: 0 and 1, or the extremes of recorded data."""
    cases = load_cases(directory / "parity.npz")
    data = cases.get(("real", "encode"))
    values = (
        cases["random", "decode"]["out"]["mean"] if data is None else data["in"]["x"]
    )
    values = values[np.isfinite(values)]
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    return [low, high] if low < 0 or high > 1 else [0.0, 1.0]
