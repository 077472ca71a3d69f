"""Repeats the parity checks of an exported model, from its directory alone.

    python verify.py [DIR]

It is one file, because it travels with every export. It needs numpy, and tensorflow
to check the SavedModel and ai-edge-litert to check the .tflite files. It neither needs nor
allows kvae, keras or TFP. It compares what the files compute here with the outputs that
Keras gave at export, and the files with their checksums. The files determine what is
compared, and the limits of their differences are in this file, so export.json, which has
a checksum too, can't remove a check. Exit status: 0 if everything is equal, 1 for a
difference or damage, 2 if nothing could be checked.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

BATCHES = (1, 3, 16)
KINDS = ("saved_model", "litert")
LIMITS = {"float32": 1e-5, "float16": 1e-2, "int8_dynamic": 0.1, "int8": 0.25}
"""The largest difference from Keras, times max(1, largest value). For float32 it holds
for every output. For other precisions it holds for images, and only tells a rounded file
from a broken one; the cost of rounding is reported in nats."""

P_VALUE_LIMIT = 0.02
"""How far a p-value may be off; decisions may not differ at all in float32."""

FORBIDDEN = ("kvae", "keras", "tf_keras", "tensorflow_probability")


class Forbid(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes imports of certain packages fail, to prove that they are not needed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Handles forbidden packages; leaves all others alone."""
        if name.split(".")[0] not in FORBIDDEN:
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec: Any) -> Any:
        """Refuses here, because tensorflow looks packages up without importing them."""
        raise ModuleNotFoundError(f"{spec.name} is not admitted here")

    def exec_module(self, module: Any) -> None:
        """Never reached."""


# === Files ===


class NoExport(ValueError):
    """A directory isn't an export, or its export.json can't be read."""


_NUMBER = (int, float)
_COST = {
    "data": str,
    "examples": int,
    "rate": _NUMBER,
    "distortion": _NUMBER,
    "elbo": _NUMBER,
    "rate_change": _NUMBER,
    "distortion_change": _NUMBER,
    "elbo_change": _NUMBER,
    "budget": _NUMBER,
    "within_budget": bool,
    "microseconds": _NUMBER,
}
_FILE = {"path": str, "kind": str, "precision": str, "signatures": dict, "bytes": int}
_MODEL = {
    "posterior": str,
    "prior": str,
    "likelihood": str,
    "latent_dim": int,
    "data_shape": list,
}


def read_manifest(directory: Path) -> dict[str, Any]:
    """Reads export.json and checks its form.

    Raises:
        NoExport: if there is none, or it has another form.
    """
    where = f"{directory} isn't a finished export"
    try:
        manifest = json.loads((directory / "export.json").read_text("utf-8"))
    except FileNotFoundError:
        raise NoExport(f"{where}: it has no export.json") from None
    except OSError as error:
        raise NoExport(f"{directory}/export.json: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise NoExport(f"{where}: export.json is not JSON") from None
    try:
        _check_form(manifest)
    except ValueError as error:
        raise NoExport(
            f"{where}: export.json is not as it was written: {error}"
        ) from None
    return manifest


def _check_form(manifest: Any) -> None:
    _expect(
        manifest, {"format": int, "model": dict, "files": list, "sha256": dict}, "it"
    )
    if manifest["format"] != 1:
        raise ValueError(f"its format is {manifest['format']}, and 1 is known here")
    _expect(manifest["model"], _MODEL, "model")
    for name, digest in manifest["sha256"].items():
        if not isinstance(digest, str):
            raise ValueError(f"the checksum of {name} isn't text")
    if not manifest["files"]:
        raise ValueError("it lists no files")
    for file in manifest["files"]:
        _expect(file, _FILE, "an entry of files")
        _expect(
            file["signatures"], dict.fromkeys(file["signatures"], dict), file["path"]
        )
        batch = file.get("batch")
        if batch is not None and (type(batch) is not int or batch < 1):
            raise ValueError(f"the batch of {file['path']} is {batch!r}")
        if file["kind"] in KINDS and file["precision"] not in LIMITS:
            raise ValueError(
                f"the precision of {file['path']} is {file['precision']!r}"
            )
        if "cost" in file:
            _expect(file["cost"], _COST, f"the cost of {file['path']}")
            _expect(file, {"outside_xnnpack": dict}, file["path"])


def _expect(value: Any, fields: dict[str, Any], where: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{where} isn't a table")
    for name, kind in fields.items():
        given = value.get(name)
        wrong = isinstance(given, bool) and kind is not bool
        if wrong or not isinstance(given, kind):
            raise ValueError(f"{name} of {where} is {str(given)[:40]!r}")


def damage(directory: Path, manifest: dict[str, Any]) -> list[str]:
    """Names every file that is missing, was changed, or was added."""
    found = []
    listed = manifest["sha256"]
    if manifest.get("digest") != digest(manifest):
        found.append("export.json is not the file that was exported (checksum)")
    for name, expected in listed.items():
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            found.append(f"{name} is outside the directory")
        elif not path.is_file():
            found.append(f"{name} is missing")
        elif sha256(path) != expected:
            found.append(f"{name} is not the file that was exported (checksum)")
    found += [f"{name} was not exported" for name in unlisted(directory, listed)]
    names = {file["path"] for file in manifest["files"]}
    models = {str(Path(n).parent) for n in listed if Path(n).name == "saved_model.pb"}
    models |= {name for name in listed if name.endswith(".tflite")}
    found += [f"{path} has no checksum" for path in sorted(names - models - {*listed})]
    found += [f"export.json says nothing of {path}" for path in sorted(models - names)]
    return found


def unlisted(directory: Path, listed: Any) -> list[str]:
    """Names what was added: files, links, and folders that a server might load.

    The folder `explore`, which holds the files of `kvae explore`, does not count.
    """
    known = {"export.json", *listed}
    holders = {str(parent) for name in listed for parent in Path(name).parents}
    direct = {str(Path(name).parent) for name in listed}
    found = []
    for folder, folders, files in os.walk(directory):
        here = Path(folder).relative_to(directory)
        if here == Path():
            folders[:] = [name for name in folders if name != "explore"]
        for name in folders:
            path = here / name
            # An empty folder in a SavedModel, such as assets, comes from TensorFlow.
            empty = str(here) in direct and not os.listdir(directory / path)
            link = (directory / path).is_symlink()
            if link or not (str(path) in holders or empty):
                found.append(str(path))
        folders[:] = [name for name in folders if str(here / name) not in found]
        found += [str(here / name) for name in files if str(here / name) not in known]
    return sorted(found)


def digest(manifest: dict[str, Any]) -> str:
    """Computes the checksum of a manifest, without the checksum itself."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_cases(path: Path) -> dict[tuple[str, str], dict[str, dict[str, np.ndarray]]]:
    """Reads recorded cases: (data, signature) to "in" and "out", arrays by name."""
    cases: dict[Any, Any] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            data, signature, side, name = key.split("/")
            case = cases.setdefault((data, signature), {"in": {}, "out": {}})
            case[side][name] = arrays[key]
    return cases


# === Runners: name a signature and inputs, get outputs ===

Runner: TypeAlias = Callable[[str, dict[str, Any]], dict[str, Any]]


def saved_model_runner(path: Path) -> Runner:
    """Loads a SavedModel and returns a function that runs one of its signatures."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def run(signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
        tensors = {k: tf.constant(v) for k, v in inputs.items()}
        outputs = loaded.signatures[signature](**tensors)
        return {k: v.numpy() for k, v in outputs.items()}

    names = set(loaded.signatures) - {"serving_default"}  # another name for decode
    run.signatures = sorted(names)  # type: ignore[attr-defined]
    return run


@contextlib.contextmanager
def without_greetings() -> Iterator[None]:
    """Keeps the INFO lines that LiteRT itself writes off standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file:
                if not line.startswith(b"INFO:"):
                    os.write(2, line)


def litert_runner(path: Path) -> Runner:
    """Loads a .tflite file and returns a function that runs one of its signatures."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    runners: dict[str, Any] = {}

    def run(signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
        if first := signature not in runners:
            runners[signature] = interpreter.get_signature_runner(signature)
        details = runners[signature].get_input_details()
        # A fixed-batch `generate` has no num; scalars have an axis of one on a device.
        given = {
            k: np.reshape(inputs[k], (1,)) if np.ndim(inputs[k]) == 0 else inputs[k]
            for k in details
        }
        with without_greetings() if first else contextlib.nullcontext():
            outputs = runners[signature](**given)
        return {k: np.array(v) for k, v in outputs.items()}

    run.signatures = sorted(interpreter.get_signature_list())  # type: ignore[attr-defined]
    return run


_LOADERS = dict(zip(KINDS, (saved_model_runner, litert_runner), strict=True))


def load_runner(kind: str, path: Path, runners: Mapping[str, Path]) -> Runner:
    """Loads a file of any known kind.

    Args:
        kind: as the manifest names it.
        path: of the file.
        runners: for other kinds, the Python file that defines `load(path)`.

    Raises:
        ImportError: if the kind is unknown, or a package is missing.
    """
    if kind in runners:
        spec = importlib.util.spec_from_file_location(f"run_{kind}", runners[kind])
        assert spec is not None
        assert spec.loader is not None, f"{runners[kind]} is not a .py file"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        loaded: Runner = module.load(path)
        return loaded
    if kind not in _LOADERS:
        raise ImportError(
            f"files of the kind {kind!r} need their own program to run. If you trust "
            f"it: python verify.py --runner {kind}=run_{kind}.py"
        )
    return _LOADERS[kind](path)


# === Comparison ===


def first_rows(arrays: dict[str, Any], count: int) -> dict[str, Any]:
    """Cuts a recorded case to its first examples; adjusts `num`, but not seeds."""
    return {
        name: np.int32(count)
        if name == "num"
        else value
        if name in ("seed", "temperature")
        else value[:count]
        for name, value in arrays.items()
    }


def compare(
    run: Any, file: dict[str, Any], cases: dict[Any, Any]
) -> list[dict[str, Any]]:
    """Runs every signature of a file at every batch size.

    Args:
        run: from a runner.
        file: its entry in the manifest: "path", "kind", "signatures", "batch",
            "precision", "limits".
        cases: from `load_cases`.

    Returns:
        rows: for each signature, output and kind of data: the largest and the mean
            absolute difference, the limit, whether all bits are equal, and whether it
            is "ok". The limit is in units of max(1, the largest recorded value).
    """
    rows = []
    batches = BATCHES if file["batch"] is None else (file["batch"],)
    for (data, signature), case in cases.items():
        if signature not in file["signatures"]:
            continue
        runs = []
        for batch in batches:
            outputs = run(signature, first_rows(case["in"], batch))
            runs.append((outputs, first_rows(case["out"], batch)))
        for name, recorded in case["out"].items():
            pairs = [(got[name], expected[name]) for got, expected in runs]
            limit = limit_of(name, file)
            row = {"file": file["path"], "signature": signature, "output": name}
            row |= {"data": data, "batches": list(batches)}
            rows.append(row | difference(pairs, limit, recorded))
    return rows


def limit_of(output: str, file: dict[str, Any]) -> float | None:
    """Returns how far an output may differ, in units of `compare`; None sets no limit.

    The manifest decides this only for kinds that are unknown here.
    """
    known = file["kind"] in KINDS
    limits = limits_of(file["precision"]) if known else file.get("limits", {})
    found: float | None = limits.get(output, limits.get("*"))
    return found


def limits_of(precision: str) -> dict[str, float]:
    """Returns the limits of a file of a known kind, by output; "*" for all."""
    limit = LIMITS[precision]
    if precision != "float32":
        return {"mean": limit, "x": limit}
    # A rounding of the score may change its rank among the calibration scores.
    return {"*": limit, "p_value": P_VALUE_LIMIT}


def difference(
    pairs: list[tuple[np.ndarray, np.ndarray]], limit: float | None, whole: np.ndarray
) -> dict[str, Any]:
    """Compares outputs with what was recorded; see `compare`."""
    result: dict[str, Any] = {"limit": limit}
    for got, expected in pairs:
        if got.shape != expected.shape or got.dtype != expected.dtype:
            problem = (
                f"{got.dtype}{got.shape} instead of {expected.dtype}{expected.shape}"
            )
            return result | {"problem": problem, "ok": False}
    if not all(np.array_equal(np.isfinite(a), np.isfinite(b)) for a, b in pairs):
        return result | {"problem": "NaN or infinite where Keras isn't", "ok": False}
    finite = np.abs(whole[np.isfinite(whole)]).astype("float64")
    unit = max(1.0, float(finite.max(initial=0.0)))
    gaps = np.concatenate(
        [
            np.abs(a.astype("float64") - b)[np.isfinite(b)] if a.size else np.zeros(0)
            for a, b in pairs
        ]
    )
    largest = float(gaps.max(initial=0.0))
    return result | {
        "max": largest,
        "mean": float(gaps.mean()) if gaps.size else 0.0,
        "unit": unit,
        "identical": all(a.tobytes() == b.tobytes() for a, b in pairs),
        "ok": limit is None or largest <= limit * unit,
    }


def check(directory: Path, runners: Mapping[str, Path] | None = None) -> dict[str, Any]:
    """Checks everything in a directory that can be checked on this machine.

    Args:
        directory: of the export.
        runners: programs for unknown kinds; see `load_runner`.

    Returns:
        result: "files", their entries of the manifest; "rows" (see `compare`);
            "problems" and "skipped" in words; and "forbidden", the modules of kvae, keras
            or TFP that were loaded.

    Raises:
        NoExport: if there is no export to check.
    """
    rows: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    manifest = read_manifest(directory)
    problems = damage(directory, manifest)
    if not problems:  # files that were tampered with are not run
        cases = load_cases(directory / "parity.npz")
        for file in manifest["files"]:
            path = directory / file["path"]
            try:
                run = load_runner(file["kind"], path, runners or {})
            except ImportError as error:
                skipped[file["path"]] = str(error)
                continue
            except Exception as error:
                problems.append(f"{file['path']} does not load: {error}")
                continue
            offered = getattr(run, "signatures", list(file["signatures"]))
            problems += unchecked(offered, file, cases)
            try:
                rows += compare(run, file, cases)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                problems.append(f"{file['path']} does not run: {said}")
    forbidden = sorted(m for m in sys.modules if m.split(".")[0] in FORBIDDEN)
    return {
        "files": manifest["files"],
        "rows": rows,
        "problems": problems,
        "skipped": skipped,
        "forbidden": forbidden,
    }


def unchecked(offered: list[str], file: dict[str, Any], cases: Any) -> list[str]:
    """Says which signatures of a file would not be compared, or are missing."""
    recorded = {signature for _, signature in cases}
    said = set(file["signatures"])
    path = file["path"]
    found = [f"{path} has no signature {name}" for name in sorted(said - set(offered))]
    found += [
        f"export.json says nothing of {name} in {path}"
        for name in sorted(set(offered) - said)
    ]
    found += [f"no outputs of {name} are recorded" for name in sorted(said - recorded)]
    return found


# === Report ===


def table(rows: list[dict[str, Any]]) -> str:
    """Formats the rows of `compare` as text."""
    lines = [("file", "output", "data", "batch", "max diff", "mean diff", "limit", "")]
    for row in rows:
        batches = ",".join(map(str, row["batches"]))
        if "problem" in row:
            numbers = (row["problem"], "", "")
        else:
            limit = row["limit"]
            shown = "-" if limit is None else f"{limit * row['unit']:.1e}"
            same = "0 (same bits)" if row["identical"] else f"{row['max']:.1e}"
            numbers = (same, f"{row['mean']:.1e}", shown)
        output = f"{row['signature']}.{row['output']}"
        verdict = "ok" if row["ok"] else "FAILED"
        lines.append((row["file"], output, row["data"], batches, *numbers, verdict))
    return columns(lines)


def columns(lines: Sequence[tuple[str, ...]]) -> str:
    """Aligns cells."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def main(arguments: list[str] | None = None) -> int:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = Path(__file__).parent
    parser.add_argument("directory", nargs="?", type=Path, default=here)
    parser.add_argument("--json", type=Path, help="write the result to this file too")
    parser.add_argument(
        "--runner",
        action="append",
        default=[],
        metavar="KIND=FILE",
        help="a Python file that runs files of a further kind",
    )
    options = parser.parse_args(arguments)
    runners = {k: Path(v) for k, _, v in (r.partition("=") for r in options.runner)}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # TF32 would round to 3 digits
    sys.meta_path.insert(0, Forbid())

    try:
        result = check(options.directory, runners)
    except NoExport as error:
        print(f"kvae: {error}.", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"kvae: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 2
    if options.json is not None:
        options.json.write_text(json.dumps(result), "utf-8")
    if result["rows"]:
        print(table(result["rows"]))
    for name, why in result["skipped"].items():
        print(f"not checked: {name}: {why}")
    problems = result["problems"] + [f"{m} was loaded" for m in result["forbidden"]]
    for problem in problems:
        print(f"FAILED: {problem}")
    if problems or not all(row["ok"] for row in result["rows"]):
        return 1
    return 0 if result["rows"] else 2


if __name__ == "__main__":
    sys.exit(main())
