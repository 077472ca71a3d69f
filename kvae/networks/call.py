"""How the model passes its inputs to a user's network."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.types import Tensor
from kvae.networks.top_down_trunk import TopDownTrunk


def call_network(
    network: Any,
    main: tuple[str, Tensor],
    optional: dict[str, Tensor | None],
    training: bool,
) -> Tensor:
    """Calls an encoder or a decoder with the inputs that it takes.

    A Keras functional model with named inputs (`{"x": ..., "condition": ...}`) gets
    exactly the inputs that it names, and a model with a single input gets the main
    tensor alone. Any other network gets the main tensor or, if there are optional
    inputs, a dict of the main tensor and those inputs.

    Args:
        network: a Keras layer or model.
        main: name and tensor of the input that is always there, ("x", x) or ("z", z).
        optional: further inputs by name, None where absent.
        training: passed on.

    Returns:
        features: what the network returns.

    Raises:
        ValueError: if the network names an input that the data do not have.
    """
    present = {k: v for k, v in optional.items() if v is not None}
    name, tensor = main
    declared = declared_inputs(network)
    if declared is None:
        alone = not present or takes_one_tensor(network)
        inputs = tensor if alone else {name: tensor, **present}
        return _one_tensor(network, network(inputs, training=training))
    available = {name: tensor, **present}
    missing = sorted(set(declared) - set(available))
    if missing:
        raise ValueError(
            f"the network {network.name!r} has inputs {sorted(declared)}, but the data "
            f"have no {', '.join(missing)}. Pass a dict, for example "
            f'fit({{"x": x, "{missing[0]}": ...}}).'
        )
    named = {key: available[key] for key in declared}
    return _one_tensor(network, network(named, training=training))


def _one_tensor(network: Any, features: Any) -> Tensor:
    """Raises if a network returns several tensors, as encoders in tutorials do."""
    if not isinstance(features, (list, tuple, dict)):
        return features
    raise ValueError(
        f"the network {network.name!r} returns {len(features)} outputs; a network of a "
        "VAE returns one tensor of features, because the posterior and the likelihood "
        "have the layers for mean and scale. End it one layer earlier, for example "
        "keras.Model(inputs, x) instead of keras.Model(inputs, [z_mean, z_log_var, z])."
    )


def declared_inputs(network: Any) -> list[str] | None:
    """Names the inputs of a functional model made from a dict, else None."""
    try:
        struct = network.input
    except (AttributeError, ValueError):  # Keras raises where there is no single input
        return None
    return sorted(struct) if isinstance(struct, dict) else None


def takes_one_tensor(network: Any) -> bool:
    """Whether this is a trunk, or a functional or sequential model of one unnamed input."""
    if isinstance(network, TopDownTrunk):
        return not network.condition_dim
    if isinstance(network, keras.Sequential):
        return True
    inputs = getattr(network, "inputs", None)  # functional models have a list
    return isinstance(inputs, list) and len(inputs) == 1
