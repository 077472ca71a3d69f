"""What the conformance laws need to know about a part, beyond its class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Specimen:
    """One public class and how to make and feed it.

    Attributes:
        cls: the class.
        config: constructor arguments.
        data: for a likelihood: (generator, N) to an array (N, *data_shape) that is
            in its support and covers the edges of it.
        partners: arguments of `kvae.VAE` that this part cannot do without, for example
            `{"prior": (SphericalUniform, {"latent_dim": 3})}`; class and config each.
        exact_kl: whether KL(q || p) with its partner has a closed form.
        independent: whether a density is a product over the latent dimensions, given x or
            the condition.
        space: where the latents live.
        condition_shape: of one condition, for a part that cannot do without one.
        accurate: arguments that take an approximation so far that the laws of densities
            hold within their errors; whatever trains does so with a coarse one too.
        deterministic: whether an objective trains no density: its rate and ELBO are NaN
            and it leaves the posterior's spread alone.
        chained: whether entries depend on one another given z, so that none can be
            missing and the mean has no closed form.
        label: tells two specimens of one class apart.
    """

    cls: type
    config: dict[str, Any]
    data: Callable[[np.random.Generator, int], np.ndarray] | None = None
    partners: dict[str, tuple[type, dict[str, Any]]] = dataclasses.field(
        default_factory=dict
    )
    exact_kl: bool = True
    independent: bool = False
    space: str = "R^D"
    condition_shape: tuple[int, ...] | None = None
    accurate: dict[str, Any] = dataclasses.field(default_factory=dict)
    deterministic: bool = False
    chained: bool = False
    label: str = ""

    def __str__(self) -> str:
        return f"{self.cls.__name__}{'-' if self.label else ''}{self.label}"

    def make(self) -> Any:
        """Makes the part."""
        return self.cls(**self.config)
