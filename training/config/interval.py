"""How often something is done, in epochs, steps, or seconds."""

from __future__ import annotations

import dataclasses
import re

from kvae.core.errors import UserError

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
_FORM = re.compile(r"(?:(\d+(?:\.\d+)?)\s+)?(epoch|step|second|minute|hour)s?")


@dataclasses.dataclass(frozen=True)
class Interval:
    """An interval of training, in one of three units; the other two are None.

    Attributes:
        epochs: number of epochs; counted at their end.
        steps: number of steps.
        seconds: time in seconds.
    """

    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, text: str) -> Interval:
        """Reads "5 minutes", "500 steps", "2 epochs", "epoch" or "never".

        Raises:
            UserError: if it is not one of these.
        """
        if text == "never":
            return cls()
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        if found is not None:
            number, unit = float(found[1] or 1), found[2]
            if unit in _SECONDS and number > 0:
                return cls(seconds=number * _SECONDS[unit])
            if unit not in _SECONDS and number >= 1 and number == int(number):
                return cls(**{f"{unit}s": int(number)})
        raise UserError(
            'an interval is a number of epochs, steps, seconds, minutes or hours, "10 '
            f'minutes", or "never"; received {text!r}.'
        )

    def passed(self, epochs: int, steps: int, seconds: float) -> bool:
        """Says whether the interval has passed."""
        pairs = ((self.epochs, epochs), (self.steps, steps), (self.seconds, seconds))
        return any(limit is not None and done >= limit for limit, done in pairs)
