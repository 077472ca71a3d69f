"""The maps on which the parts of a deep model of feature maps agree."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from kvae.core.checks import MOST_LAYERS, MOST_UNITS, is_integer


@dataclasses.dataclass(frozen=True)
class MapLevels:
    """The maps of latents of a deep model, one entry for each stochastic level.

    Levels of one size follow one another and form a group.

    Attributes:
        sizes: height and width of each level's map, from the top (smallest) down.
        channels: latents at each position of each level.
        widths: channels of the hidden maps of each level.
        groups: index of the first level of each size.
    """

    sizes: tuple[tuple[int, int], ...]
    channels: tuple[int, ...]
    widths: tuple[int, ...]
    groups: tuple[int, ...]

    @classmethod
    def of(cls, owner: str, levels: Any, latent_channels: Any, width: Any) -> MapLevels:
        """Reads the levels from a part's arguments.

        Args:
            owner: class or function, for messages.
            levels: (height, width, count) of each size, from the smallest map up.
            latent_channels: of a map, one number for all or one for each size.
            width: channels of the hidden maps, likewise.

        Raises:
            ValueError: if they are not such numbers, or a map is followed by a smaller
                one.
        """
        given = tuple(levels) if isinstance(levels, (tuple, list)) else ()
        right = bool(given) and all(
            isinstance(one, (tuple, list))
            and len(one) == 3
            and all(is_integer(number) and number > 0 for number in one)
            for one in given
        )
        if right:
            grows = all(
                before[0] <= after[0] and before[1] <= after[1] and before != after
                for before, after in zip(
                    (tuple(one[:2]) for one in given),
                    (tuple(one[:2]) for one in given[1:]),
                    strict=False,
                )
            )
            right = grows and sum(one[2] for one in given) <= MOST_LAYERS
        if not right:
            raise ValueError(
                f"{owner} expects levels of (height, width, count), the smallest map "
                f"first, such as ((1, 1, 2), (4, 4, 3), (7, 7, 4)); received {levels!r}."
            )
        channels = _each(owner, "latent_channels", latent_channels, len(given))
        widths = _each(owner, "width", width, len(given))
        counts = [one[2] for one in given]
        found = cls(
            sizes=tuple((int(h), int(w)) for h, w, n in given for _ in range(n)),
            channels=_repeat(channels, counts),
            widths=_repeat(widths, counts),
            groups=tuple(sum(counts[:index]) for index in range(len(given))),
        )
        if found.latent_dim > MOST_UNITS:
            raise ValueError(
                f"{owner} expects at most {MOST_UNITS} latents; received "
                f"{found.latent_dim} with levels={levels!r}."
            )
        return found

    @property
    def dims(self) -> tuple[int, ...]:
        """Latent dimensions of each level."""
        pairs = zip(self.sizes, self.channels, strict=True)
        return tuple(h * w * c for (h, w), c in pairs)

    @property
    def latent_dim(self) -> int:
        """D, the latent dimensions of all levels."""
        return sum(self.dims)

    @property
    def names(self) -> tuple[str, ...]:
        """The size of each level's map in words, such as "7x7"."""
        return tuple(f"{h}x{w}" for h, w in self.sizes)

    @property
    def features_dim(self) -> int:
        """Numbers in the maps that an encoder gives, one map for each size."""
        return sum(
            math.prod(self.sizes[first]) * self.widths[first] for first in self.groups
        )

    def group_of(self, level: int) -> int:
        """The number of the group that a level belongs to."""
        return sum(first <= level for first in self.groups) - 1


def growth(small: tuple[int, int], large: tuple[int, int]) -> int:
    """The factor by which a map grows before it is cropped to a larger size."""
    return max(-(-large[0] // small[0]), -(-large[1] // small[1]))


def kernel_size(size: tuple[int, int]) -> int:
    """Of the convolutions on a map; on the smallest maps positions hardly matter."""
    return 3 if max(size) > 2 else 1


def _each(owner: str, name: str, value: Any, count: int) -> tuple[int, ...]:
    each = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(each) != count or not all(is_integer(n) and 0 < n < 2**16 for n in each):
        raise ValueError(
            f"{owner} expects {name} to be a positive integer, or one for each of the "
            f"{count} sizes of maps; received {value!r}."
        )
    return tuple(int(number) for number in each)


def _repeat(values: tuple[int, ...], counts: list[int]) -> tuple[int, ...]:
    return tuple(
        value for value, count in zip(values, counts, strict=True) for _ in range(count)
    )
