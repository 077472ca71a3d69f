"""What an export says when it does not go through."""

from __future__ import annotations


class ExportRefused(ValueError):
    """A part of the model cannot be exported to the target that was asked for."""


class ParityFailed(RuntimeError):
    """An exported file computes something else than the Keras model.

    Nothing was left on the disk: the directory gets its name after the checks only.
    """
