"""The parts of a model by name, and what kind each has to be."""

from __future__ import annotations

from typing import Any

import keras

from kvae.corruptions import Corruption
from kvae.likelihoods import Likelihood
from kvae.objectives import Objective
from kvae.posteriors import Posterior
from kvae.priors import Prior

KINDS: dict[str, type] = {
    "encoder": keras.layers.Layer,
    "decoder": keras.layers.Layer,
    "posterior": Posterior,
    "likelihood": Likelihood,
    "prior": Prior,
    "objective": Objective,
    "corruption": Corruption,
}
"""What `kvae.VAE` is made of, by the names of its arguments."""

OPTIONAL = ("prior", "objective", "corruption")
"""Parts that may be None."""


def check_kinds(parts: dict[str, Any]) -> None:
    """Raises if a part is not of its kind.

    Args:
        parts: one for each name of `KINDS`.

    Raises:
        TypeError: naming the part and its kind.
    """
    for name, kind in KINDS.items():
        part = parts[name]
        if isinstance(part, kind) or (part is None and name in OPTIONAL):
            continue
        raise TypeError(
            f"{name} must be a {kind.__module__.split('.src')[0]}.{kind.__name__} object; "
            f"received {part!r}."
        )
