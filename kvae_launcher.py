"""Starts the command `kvae` before the library is imported.

`import kvae` brings TensorFlow, which takes seconds and greets on standard error. The
command reads its arguments first: so its help and its refusals come at once, and it can
keep the greeting off the screen. Python imports a package before any module in it, so
this file stands beside the package and runs kvae/cli.py from where it lies.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys


def main() -> int:
    """Runs `kvae.cli.main` without importing `kvae` first."""
    package = importlib.util.find_spec("kvae")
    if package is None or package.origin is None:
        print("kvae: the package kvae is not installed here.", file=sys.stderr)
        return 1
    path = pathlib.Path(package.origin).with_name("cli.py")
    spec = importlib.util.spec_from_file_location("kvae_cli", path)
    if spec is None or spec.loader is None:
        print(f"kvae: {path} cannot be read.", file=sys.stderr)
        return 1
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return int(module.main())


if __name__ == "__main__":
    sys.exit(main())
