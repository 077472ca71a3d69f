"""Output without control characters, which names of files and labels may contain."""

from __future__ import annotations

import io
from typing import TextIO


def printable(text: str) -> str:
    """Escapes what a terminal would obey or cannot show; file names may hold anything."""
    return "".join(
        c
        if c.isprintable() or c in "\n\t"
        else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


class PrintableStream(io.TextIOBase):
    """Writes to another stream what `printable` makes of the text.

    Args:
        stream: standard output, for example. It stays open.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes the text and returns the number of characters it had."""
        self._stream.write(printable(text))
        return len(text)

    def flush(self) -> None:
        """Flushes the stream."""
        self._stream.flush()

    def fileno(self) -> int:
        """Returns the descriptor of the stream."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Returns whether the stream is a terminal."""
        return self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return self._stream.encoding
