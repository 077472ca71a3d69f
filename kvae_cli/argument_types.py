"""The parser of the command, and the kinds of values that it takes."""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import platform
from typing import Any, NoReturn

from kvae_cli.printable import printable

_PACKAGES = (("TensorFlow", "tensorflow"), ("Keras", "keras"))


class Parser(argparse.ArgumentParser):
    """States a mistake in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Prints the message and exits with status 2."""
        said = f"{self.prog}: {message}; see {self.prog} --help.\n"
        self.exit(2, printable(said))


class Help(argparse.RawDescriptionHelpFormatter):
    """Leaves room for long option names."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


class Version(argparse.Action):
    """Prints the versions that numbers depend on, without importing the packages."""

    def __init__(self, option_strings: list[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **kwargs)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Prints the versions and exits."""
        others = [f"{name} {_installed(package)}" for name, package in _PACKAGES]
        python = f"Python {platform.python_version()}"
        print(f"kvae {_installed('keras-vae')} ({', '.join([python, *others])})")
        parser.exit()


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


class Change(argparse.Action):
    """Collects the changed keys of the recipe by their names there."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Adds one change to `namespace.changes`."""
        names = {"size": "image_size", "latent_shape": "latent_dim"}
        key = names.get(self.dest, self.dest)
        value = self.const if self.nargs == 0 else values
        namespace.changes = {**namespace.changes, key: value}


def positive(text: str) -> int:
    """Reads a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"expected a positive integer; received {text!r}"
        )
    return int(text)


def shape(text: str) -> list[int]:
    """Reads the shape of one latent, such as 16x16x4."""
    sizes = text.lower().split("x")
    if len(sizes) != 3 or not all(s.isdecimal() and int(s) > 0 for s in sizes):
        raise argparse.ArgumentTypeError(
            "expected height, width and channels of one latent, such as 16x16x4; "
            f"received {text!r}"
        )
    return [int(size) for size in sizes]


def port(text: str) -> int:
    """Reads a port; 0 means any free port."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            f"expected a port up to 65535; received {text!r}"
        )
    return int(text)


def seed(text: str) -> int:
    """Reads an integer from 0 to 2**31 - 1."""
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(
            f"expected a whole number below 2**31; received {text!r}"
        )
    return int(text)


def spread(text: str) -> float:
    """Reads a number of at least 0."""
    return _number(text, "a number of at least 0")


def temperature(text: str) -> float | dict[str, float]:
    """Reads a number of at least 0, or one for each size of maps: 4x4=0.8,7x7=0.6."""
    if "=" not in text:
        return spread(text)
    pairs = [pair.partition("=") for pair in text.split(",")]
    return {size.strip(): spread(value) for size, _, value in pairs}


def share(text: str) -> float:
    """Reads a number above 0 and below 1."""
    value = _number(text, "a share above 0 and below 1")
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(
            f"expected a share above 0 and below 1; received {text!r}"
        )
    return value


def minutes(text: str) -> float:
    """Reads a number above 0."""
    value = _number(text, "a number of minutes above 0")
    if value == 0:
        raise argparse.ArgumentTypeError("expected a number of minutes above 0")
    return value


def factor(text: str) -> float:
    """Reads a number above 0."""
    value = _number(text, "a factor above 0")
    if value == 0:
        raise argparse.ArgumentTypeError("expected a factor above 0")
    return value


def numbers(text: str) -> tuple[float, ...]:
    """Reads numbers separated by commas."""
    try:
        values = tuple(map(float, text.split(",")))
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise argparse.ArgumentTypeError(
            f"expected numbers separated by commas; received {text!r}"
        )
    return values


def _number(text: str, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected {expected}; received {text!r}")
    return value
