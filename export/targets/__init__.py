"""What an export writes: SavedModel, LiteRT files, and what goes with them."""
