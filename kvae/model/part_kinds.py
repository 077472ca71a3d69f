"""The parts of a model by name, and what kind each has to be."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.part import Part
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


def adapt_parts(model: Any, x: Any) -> None:
    """Shows the training data to every part of a model, once, before training.

    Args:
        model: the `kvae.VAE`; its seed is that of what parts draw.
        x: (N, *data_shape) training examples.

    Raises:
        ValueError: if a part cannot start from these examples, naming the part.
    """
    seed = int(model.noise_seed.value)
    for name in KINDS:
        part = getattr(model, name)
        if isinstance(part, Part):
            part.adapt(x, seed)


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


def check_fit(posterior: Posterior, prior: Prior) -> None:
    """Raises if the latents of a posterior are not those of a prior.

    Args:
        posterior: q(z|x).
        prior: p(z).

    Raises:
        ValueError: naming what differs.
    """
    if prior.latent_dim != posterior.latent_dim:
        raise ValueError(
            f"the posterior has latent_dim={posterior.latent_dim} and the prior "
            f"latent_dim={prior.latent_dim}; give both the same."
        )
    if prior.space != posterior.space:
        raise ValueError(
            f"{type(posterior).__name__} draws latents from {posterior.space} and "
            f"{type(prior).__name__} is a density on {prior.space}, so no "
            "KL divergence is finite. PowerSpherical and UniformSphere go together."
        )
