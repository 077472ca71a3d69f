"""How the command line is called, for messages that name a command to try."""

from __future__ import annotations

import os


def command_name() -> str:
    """Returns "kvae", or what the user has typed instead, such as "./run kvae"."""
    return os.environ.get("KVAE_COMMAND", "kvae")
