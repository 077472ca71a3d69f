"""Masks, which say what is visible in an example, drawn from a seed.

A mask has the shape of x. It is 1 where x is visible and 0 where it is hidden or missing.
Families are named after what they hide. To add one, subclass MaskFamily and list it here.
"""

from kvae.masks.as_family import as_family as as_family
from kvae.masks.base import MaskFamily as MaskFamily
from kvae.masks.from_function import FromFunction as FromFunction
from kvae.masks.half import Half as Half
from kvae.masks.missing import nan_as_missing as nan_as_missing
from kvae.masks.one_of import OneOf as OneOf
from kvae.masks.random_entries import RandomEntries as RandomEntries
from kvae.masks.rectangle import Rectangle as Rectangle
from kvae.masks.stretch import Stretch as Stretch
from kvae.masks.visible import given_visible as given_visible
from kvae.masks.visible import visible_part as visible_part
from kvae.masks.visible import visible_shape as visible_shape
