"""A client of a model server."""
