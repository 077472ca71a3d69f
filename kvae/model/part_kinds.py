"""The parts of a model by name, and the kind that each must be."""

from __future__ import annotations

import importlib
import inspect
import math
import warnings
from typing import Any

import keras
import tensorflow as tf

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
        parts: by their names in `KINDS`.

    Raises:
        TypeError: with the part and its kind.
    """
    for name, part in parts.items():
        kind = KINDS[name]
        if isinstance(part, kind) or (part is None and name in OPTIONAL):
            continue
        raise TypeError(
            f"{name} must be a {kind.__module__.split('.src')[0]}.{kind.__name__} object"
            f"{_example(kind, part)}; received {part!r}."
        )


def _example(kind: type, part: Any) -> str:
    """Names the class that a string such as "normal" means, if there is one."""
    if not isinstance(part, str) or not kind.__module__.startswith("kvae."):
        return ""
    module = importlib.import_module(kind.__module__.rpartition(".")[0])
    plain = part.replace("_", "").lower()
    found = [
        value.__name__
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, kind)
        and value.__name__.lower() == plain
    ]
    return f", here {module.__name__}.{found[0]}(...)" if found else ""


def check_fit(model: Any) -> None:
    """Raises if the parts of a model are of different sizes or spaces.

    Args:
        model: a `kvae.VAE` that holds its parts.

    Raises:
        ValueError: with the sizes or spaces that differ.
    """
    posterior, prior = model.posterior, model.prior
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
    taken = _main_input(model.decoder, "z")
    wanted = posterior.latent_shape
    if taken is not None and not tf.TensorShape(taken[1:]).is_compatible_with(wanted):
        raise ValueError(
            f"the decoder takes z of shape {taken[1:]} and the posterior has latents of "
            f"shape {wanted}; give both the same."
        )
    features = _output(model.decoder)
    shape = model.likelihood.data_shape
    if (
        features is not None
        and len(features) == 4
        and len(shape) in (2, 3)
        and None not in features[1:3]
        and (features[1] > shape[0] or features[2] > shape[1])
    ):
        raise ValueError(
            f"the decoder makes pictures of {features[1]}x{features[2]} and the "
            f"likelihood is of data_shape={shape}; build both for the same size."
        )


def warn_of_head(model: Any) -> None:
    """Warns of a decoder that ends in a picture, where features are expected.

    Args:
        model: a `kvae.VAE` that holds its parts.
    """
    last = getattr(model.decoder, "layers", [None])[-1]
    shape = _output(model.decoder)
    if shape is None or None in shape[1:]:
        return
    # A hidden layer of tanh may have as many units by chance; of sigmoid hardly any has.
    ends = getattr(last, "activation", None) is keras.activations.sigmoid
    if ends and math.prod(shape[1:]) == math.prod(model.likelihood.data_shape):
        warnings.warn(
            "the decoder ends in a picture: its last layer is a sigmoid of the size of x. "
            f"{type(model.likelihood).__name__} puts a linear layer of its own on top, "
            "so end the decoder one layer before.",
            stacklevel=3,
        )


def _main_input(network: Any, name: str) -> tuple[int | None, ...] | None:
    """The shape of a network's input z or x, if it is known; batch first."""
    taken = getattr(network, "input", None) if network.built else None
    if isinstance(taken, dict):  # `input_shape` would be a list without the names
        taken = taken.get(name)
    shape = getattr(taken, "shape", None)
    return None if shape is None else tuple(shape)


def _output(network: Any) -> tuple[Any, ...] | None:
    """The shape of a network's one output, if it is known; batch first."""
    shape = getattr(network, "output_shape", None) if network.built else None
    known = isinstance(shape, tuple) and not any(isinstance(n, tuple) for n in shape)
    return shape if known else None
