"""Training that has left the numbers."""

from __future__ import annotations

from kvae.training.errors import UserError


class Diverged(UserError):
    """The loss or the weights stopped being numbers, or grew beyond all measure."""
