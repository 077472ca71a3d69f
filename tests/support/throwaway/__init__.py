"""A part, source and target of each kind, of which kvae knows nothing."""
