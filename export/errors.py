"""The errors of an export."""

from __future__ import annotations


class ExportRefused(ValueError):
    """A part of the model cannot be exported to the target that was asked for."""


class ParityFailed(RuntimeError):
    """An exported file doesn't compute what the Keras model computes.

    Nothing is left on the disk, because the directory gets its name after the checks.
    """
