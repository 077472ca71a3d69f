"""Finds the user's copy of LiteRT.js, or fetches one with the user's npm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PACKAGES = ("@litertjs/core", "@litertjs/wasm-utils")
VERSION = "2.5.3"  # the version that the page was tested with
_TIMEOUT = 300  # seconds; the package is 38 MB


def find_packages(places: list[Path]) -> dict[str, Path] | None:
    """Looks for the npm packages of LiteRT.js.

    Args:
        places: each a folder with node_modules in it, a node_modules itself, or the
            folder of @litertjs/core; the first that has all of them counts.

    Returns:
        packages: the folder of each, by name; None if no place has them.
    """
    for place in places:
        for modules in (place / "node_modules", place, place.parent.parent):
            folders = {name: modules / name for name in PACKAGES}
            if all((f / "dist" / "index.js").is_file() for f in folders.values()):
                return {name: folder.resolve() for name, folder in folders.items()}
    return None


def fetch_packages(folder: Path) -> None:
    """Installs LiteRT.js below a folder, by the user's npm and its settings.

    Args:
        folder: gets a node_modules.

    Raises:
        ValueError: if there is no npm, or it fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(
            "--fetch needs npm, which is not on PATH. Install Node.js, or pass a "
            "folder that holds @litertjs/core and @litertjs/wasm-utils with "
            "--litertjs PATH."
        )
    command = [npm, "install", "--prefix", str(folder), "--ignore-scripts"]
    command += ["--no-audit", "--no-fund", f"{PACKAGES[0]}@{VERSION}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(
            f"npm did not fetch {PACKAGES[0]} within {_TIMEOUT} s; try again, or fetch "
            "it yourself and pass --litertjs PATH."
        ) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "npm error" in line]
        why = (lines or done.stderr.splitlines() or ["no message"])[0]
        raise ValueError(
            f"npm could not install {PACKAGES[0]}@{VERSION} ({why}). Fetch it yourself "
            "and pass --litertjs PATH."
        )
