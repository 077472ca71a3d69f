"""Export targets, one per file, and the list of them."""

from kvae.export.targets.litert import LiteRT
from kvae.export.targets.saved_model import SavedModel
from kvae.export.targets.target import Target

TARGETS: tuple[Target, ...] = (SavedModel(), LiteRT())
"""The targets that `kvae.export.export` writes, in this order."""
