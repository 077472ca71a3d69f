"""One run: its directory, its training and its numbers."""
