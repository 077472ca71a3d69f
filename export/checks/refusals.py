"""Finds out by trial which part of a model a target can't run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.maths.precision import without_float64
from kvae.model import endpoints
from kvae.networks.call import call_network
from kvae.noise import Noise

_OPERATION = re.compile(r"'?tf\.(\w+)'? op is neither a custom op nor a flex op")
_CALLSITE = re.compile(r'error: loc\(callsite\(fused\["(\w+):')
_NODE = re.compile(r"[Nn]ode number \d+ \((\w+)\) failed")

_Stage: TypeAlias = tuple[str, str, Callable[..., Any], list[Any]]

_NETWORKS = ("encoder", "decoder")

_ADVICE = (
    "A SavedModel of this model does offer it (kvae.export.saved_model). For a "
    "device, leave {names} out of signatures=, or choose another {part}."
)


def explain(
    model: Any, names: tuple[str, ...], message: str, rows: int | None = None
) -> str:
    """Says in words why endpoints don't convert to LiteRT, or don't run there.

    Each stage of the computation is converted on its own to see which one fails.

    Args:
        model: the `kvae.VAE` in float32.
        names: the endpoints that were asked for.
        message: what the converter or the interpreter said.
        rows: the batch size at which it failed to run, or None if it did not convert.

    Returns:
        explanation: part, operation and alternatives.
    """
    operations = _operations(message)
    failing: dict[str, list[str]] = {}
    verdicts: dict[tuple[str, str], bool] = {}
    for name in names:
        for kind, what, function, specs in _stages(model, name):
            if (kind, what) not in verdicts:
                verdicts[kind, what] = converts(function, specs)
            if not verdicts[kind, what]:
                if kind in _NETWORKS:  # stages that use its features fail with it
                    return _explain_network(
                        model, kind, function, specs, names, message
                    )
                part = f"{kind} {type(getattr(model, kind)).__name__} ({what})"
                failing.setdefault(part, []).append(name)
    part = next(iter(failing), "part").split()[0]
    where = " and ".join(failing) or "the model"
    affected = dict.fromkeys(n for found in failing.values() for n in found) or names
    advice = _ADVICE.format(names=", ".join(affected), part=part)
    if rows is not None:
        return (
            f"the LiteRT file of {'/'.join(names)} converts, but does not run on "
            f"{rows} examples: operation {operations}. Export it with batch=1, or on a "
            f"server. {advice}"
        )
    return (
        f"{where} does not convert to LiteRT built-in operations; LiteRT lacks: "
        f"{operations}. {advice}"
    )


def _operations(message: str) -> str:
    """Returns the operations that a converter or interpreter names, or its message."""
    for pattern in (_OPERATION, _CALLSITE, _NODE):
        if found := pattern.findall(message):
            return ", ".join(sorted(set(found)))
    return message.strip()[:300]


def _explain_network(
    model: Any,
    kind: str,
    function: Callable[..., Any],
    specs: list[tf.TensorSpec],
    names: tuple[str, ...],
    message: str,
) -> str:
    """Says which layer of a user's network does not convert, and what helps."""
    network = getattr(model, kind)
    layer = _first_that_fails(network)
    where = f"the {kind}'s layer {layer.name!r} ({type(layer).__name__})"
    if layer is network:
        where = f"the {kind} {network.name!r}"
    fixed = [tf.TensorSpec((1, *spec.shape[1:]), spec.dtype) for spec in specs]
    cures = ["batch=1"] if converts(function, fixed) else []
    if isinstance(layer, (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)):
        cures.append(f"unroll=True in the {type(layer).__name__}")
    cures.append("another layer")
    return (
        f"{where} does not convert to LiteRT built-in operations; LiteRT lacks: "
        f"{_operations(message)}. It converts with {' or '.join(cures)}. A SavedModel "
        "of this model does offer it (kvae.export.saved_model); on a device, leave "
        f"{', '.join(names)} out of signatures=."
    )


def _first_that_fails(network: Any) -> Any:
    """The first layer up to which a functional network does not convert."""
    inputs = getattr(network, "inputs", None)
    if not isinstance(inputs, list):
        return network
    for layer in network.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        upto = keras.Model(network.input, layer.output)
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in inputs]

        def function(*tensors: Any, upto: Any = upto) -> Any:
            return upto(keras.tree.pack_sequence_as(network.input, list(tensors)))

        if not converts(function, specs):
            return layer
    return network


def converts(function: Callable[..., Any], specs: list[tf.TensorSpec]) -> bool:
    """Returns whether a function of tensors converts to LiteRT built-in operations."""
    module = tf.Module()
    with without_float64():
        concrete = tf.function(function, input_signature=specs).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    try:
        converter.convert()
    except Exception:  # the converter raises many kinds, one per stage
        return False
    return True


def _stages(model: Any, name: str) -> list[_Stage]:
    """Lists the stages of an endpoint: part, what it does, function, input specs.

    Weights are frozen into the trial, because only convertibility matters here.
    """
    latent = tf.TensorSpec((None, model.latent_dim), tf.float32)
    draws = tf.TensorSpec((1, None, model.latent_dim), tf.float32)
    data = tf.TensorSpec((None, *model.data_shape), tf.float32)
    posterior_noise = tf.TensorSpec((1, None, model.posterior.noise_dim), tf.float32)
    prior_noise = tf.TensorSpec((None, model.prior.noise_dim), tf.float32)
    blank = _blank_condition(model)

    def encoded(x: Any) -> Any:
        return model.posterior_params(Inputs(x, blank(x)))

    def decoded(z: Any) -> Any:
        return model.likelihood_params(z, blank(z))

    def drawn(x: Any, noise: Any) -> Any:
        return model.posterior.sample_and_log_prob(encoded(x), noise)

    def prior_density(z: Any) -> Any:
        return model.prior.log_prob(model.prior(blank(z[0])), z)

    def prior_sample(noise: Any) -> Any:
        return model.prior.sample(model.prior(blank(noise)), noise, 1.0)

    def data_density(z: Any, x: Any) -> Any:
        return model.likelihood.log_prob(decoded(z), x)

    def rate(x: Any) -> Any:
        key = tf.constant([0, 0], tf.int32)
        draw = model.draw(Inputs(x, blank(x)), Noise(key, tf.constant(0)), 1, False)
        return model.objective.rate(model, draw)

    def mean(z: Any) -> Any:
        return model.likelihood.mean(decoded(z))

    def encoder_alone(x: Any) -> Any:
        optional = {"condition": blank(x), "mask": tf.ones_like(x)}
        return call_network(model.encoder, ("x", x), optional, training=False)

    def decoder_alone(z: Any) -> Any:
        rows = endpoints.shaped(model, z)
        return call_network(
            model.decoder, ("z", rows), {"condition": blank(z)}, training=False
        )

    encoder: _Stage = ("encoder", "network", encoder_alone, [data])
    decoder: _Stage = ("decoder", "network", decoder_alone, [latent])
    decode: _Stage = ("likelihood", "mean", mean, [latent])
    encode: _Stage = ("posterior", "parameters", encoded, [data])
    if name in ("score", "detect"):
        densities: list[_Stage] = [
            ("posterior", "sampling and density", drawn, [data, posterior_noise]),
            ("prior", "density", prior_density, [draws]),
            ("likelihood", "density", data_density, [latent, data]),
        ]
        whole: _Stage = ("objective", "rate", rate, [data])
        fine = all(converts(function, specs) for *_, function, specs in densities)
        return [encoder, decoder, *densities, *([whole] if fine else [])]
    stages: dict[str, list[_Stage]] = {
        "decode": [decoder, decode],
        "generate": [
            decoder,
            ("prior", "sampling", prior_sample, [prior_noise]),
            decode,
        ],
        "encode": [encoder, encode],
        "reconstruct": [encoder, decoder, encode, decode],
        "complete": [
            decoder,
            ("prior", "sampling", prior_sample, [prior_noise]),
            decode,
        ],
    }
    return stages[name]


def _blank_condition(model: Any) -> Callable[[Any], Any]:
    condition = model.condition
    if condition is None:
        return lambda like: None
    return lambda like: condition.blank(tf.shape(like)[0])
