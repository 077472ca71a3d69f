"""Repeats the parity checks of an export in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kvae.export.checks import verification
from kvae.export.checks.report import ExportReport


def verify(directory: Any, runners: Mapping[str, Path] | None = None) -> ExportReport:
    """Repeats all checks of an export from its directory alone, in a fresh process.

    Args:
        directory: what `export` wrote, possibly on another machine.
        runners: for files of a target of your own, its `runner` by its `kind`.

    Returns:
        report: `report.ok` says whether everything is equal and undamaged; artifacts
            whose runtime is not installed are in `report.skipped`.

    Raises:
        FileNotFoundError: if there is no such directory.
    """
    start = time.perf_counter()
    directory = Path(directory).absolute()
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not a directory.")
    try:
        verification.read_manifest(directory)
    except verification.NoExport as error:
        return ExportReport(directory, (), (), (str(error),))
    result = run_checks(directory, runners)
    return ExportReport(
        directory,
        tuple(result["files"]),
        tuple(result["rows"]),
        tuple(result["problems"]),
        result["skipped"],
        seconds=time.perf_counter() - start,
    )


def run_checks(
    directory: Path, runners: Mapping[str, Path] | None = None
) -> dict[str, Any]:
    """Runs `kvae.export.checks.verification` on a directory in a fresh process.

    Args:
        directory: of the export.
        runners: by kind, for kinds that `verification` does not know.

    Returns:
        result: see `kvae.export.checks.verification.check`; modules that must not be loaded
            are among the "problems".

    Raises:
        RuntimeError: if the process dies, with its last output.
    """
    with tempfile.TemporaryDirectory(prefix="kvae-verify-") as folder:
        answer = Path(folder) / "result.json"
        command = [sys.executable, "-P", verification.__file__, str(directory)]
        for kind, file in (runners or {}).items():
            command += ["--runner", f"{kind}={file}"]
        process = subprocess.run(
            [*command, "--json", str(answer)],
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
        if not answer.exists():
            said = process.stderr.strip()[-2000:]
            raise RuntimeError(f"the checking process failed: {said}")
        result: dict[str, Any] = json.loads(answer.read_text("utf-8"))
    result["problems"] += [f"{m} was loaded" for m in result["forbidden"]]
    return result
