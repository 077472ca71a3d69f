"""Finding out which part of a model a target cannot run, by trying."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.maths import without_float64
from kvae.noise import Noise

_OPERATION = re.compile(r"'?tf\.(\w+)'? op is neither a custom op nor a flex op")
_NODE = re.compile(r"[Nn]ode number \d+ \((\w+)\) failed")

_Stage: TypeAlias = tuple[str, str, Callable[..., Any], list[Any]]

_ADVICE = (
    "A SavedModel of this model does offer it (kvae.export.saved_model). On a device, "
    "leave {names} out of signatures=, or choose another {part}."
)


def explain(
    model: Any, names: tuple[str, ...], message: str, rows: int | None = None
) -> str:
    """Says in words why endpoints do not convert to LiteRT, or do not run there.

    Each stage of the computation is converted on its own to see which one fails.

    Args:
        model: the `kvae.VAE` in float32.
        names: the endpoints that were asked for.
        message: what the converter or the interpreter said.
        rows: the batch size at which it failed to run, or None if it did not convert.

    Returns:
        explanation: part, operation and way out.
    """
    found = _OPERATION.findall(message) or _NODE.findall(message)
    operations = ", ".join(sorted(set(found))) or message.strip()[:300]
    failing: dict[str, list[str]] = {}
    verdicts: dict[tuple[str, str], bool] = {}
    for name in names:
        stages = _stages(model, name)
        for kind, what, function, specs in stages:
            if (kind, what) not in verdicts:
                verdicts[kind, what] = converts(function, specs)
            if not verdicts[kind, what]:
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
        f"{where} does not convert to LiteRT built-in operations; what is missing "
        f"there: {operations}. {advice}"
    )


def converts(function: Callable[..., Any], specs: list[tf.TensorSpec]) -> bool:
    """Whether a function of tensors converts to LiteRT built-in operations."""
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
    """Every stage of an endpoint: part, what it does, function, input specs.

    Weights are frozen into the trial as they are; only convertibility is of interest.
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

    decode: _Stage = ("likelihood", "mean", mean, [latent])
    encode: _Stage = ("posterior", "parameters", encoded, [data])
    if name == "score":
        densities: list[_Stage] = [
            ("posterior", "sampling and density", drawn, [data, posterior_noise]),
            ("prior", "density", prior_density, [draws]),
            ("likelihood", "density", data_density, [latent, data]),
        ]
        whole: _Stage = ("objective", "rate", rate, [data])
        fine = all(converts(function, specs) for *_, function, specs in densities)
        return [*densities, whole] if fine else densities
    stages: dict[str, list[_Stage]] = {
        "decode": [decode],
        "generate": [("prior", "sampling", prior_sample, [prior_noise]), decode],
        "encode": [encode],
        "reconstruct": [encode, decode],
        "complete": [("prior", "sampling", prior_sample, [prior_noise]), decode],
    }
    return stages[name]


def _blank_condition(model: Any) -> Callable[[Any], Any]:
    condition = model.condition
    if condition is None:
        return lambda like: None
    return lambda like: condition.blank(tf.shape(like)[0])
