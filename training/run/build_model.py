"""From the names in a recipe to the parts of a model."""

from __future__ import annotations

import inspect
import math
import types
from typing import Any

import keras

from kvae import (
    VAE,
    corruptions,
    likelihoods,
    masks,
    networks,
    objectives,
    posteriors,
    priors,
    schedules,
)
from kvae.core.errors import UserError, nearest, user_errors
from kvae.model.defaults import condition_options
from kvae.training.config.config import Config
from kvae.training.data.pipeline import steps_per_epoch
from kvae.training.data.sources import ExamplesOnDisk
from kvae.training.run.completion_runs import build_completing

_MODULES: dict[str, tuple[types.ModuleType, type]] = {
    "posterior": (posteriors, posteriors.Posterior),
    "prior": (priors, priors.Prior),
    "likelihood": (likelihoods, likelihoods.Likelihood),
    "corruption": (corruptions, corruptions.Corruption),
    "objective": (objectives, objectives.Objective),
    "schedule": (schedules, keras.optimizers.schedules.LearningRateSchedule),
}


def build_model(config: Config, x: Any, condition: Any = None) -> VAE:
    """Builds the model that a configuration names; what it leaves open, data decide.

    Args:
        config: of the run.
        x: (N, *data_shape) training examples; of those on disk a sample decides.
        condition: (N,) labels that x is conditioned on, or None.

    Returns:
        vae: built, not compiled.

    Raises:
        UserError: for an unknown part or argument, with the nearest, or parts that do
            not fit together.
    """
    count = len(x)
    if isinstance(x, ExamplesOnDisk):
        rows = x.sample_rows(condition)
        x, condition = x[rows], None if condition is None else condition[rows]
    data_shape = tuple(x.shape[1:])
    context = {
        "data_shape": data_shape,
        "latent_dim": config.latent_dim,
    }
    given: dict[str, Any] = {}
    options = {} if condition is None else condition_options(condition)
    for role in () if config.complete is not None else ("encoder", "decoder"):
        spec = getattr(config, role)
        if spec is not None or config.network is not None:
            given[role] = _network(role, spec, config.network, context, options)
    for kind in ("posterior", "prior", "likelihood", "objective", "corruption"):
        spec = getattr(config, kind)
        if kind == "objective" and config.kl_warmup:
            spec = _with_warmup(config, spec, count)
        if spec is not None:
            given[kind] = make_part(kind, spec, context)
    if config.complete is not None:
        return build_completing(config, x, given)
    if config.mask is not None:
        with user_errors():
            family = masks.as_family(config.mask)
        given["objective"] = objectives.Masked(given.get("objective"), family)
    with user_errors():
        return VAE.for_data(
            x,
            config.latent_dim,
            condition,
            config.conditional_prior,
            seed=config.seed,
            **given,
        )


def _with_warmup(config: Config, spec: Any, examples: int) -> dict[str, Any]:
    """Lets the objective's beta grow over `kl_warmup` epochs to what it says."""
    name, arguments = _split("objective", spec or "ELBO")
    beta = arguments.get("beta", 1.0)
    if isinstance(beta, dict):
        raise UserError(
            "kl_warmup and a schedule as beta say two things; set kl_warmup=0."
        )
    steps = math.ceil(config.kl_warmup * steps_per_epoch(examples, config.batch_size))
    warmup = {"name": "LinearWarmup", "steps": steps, "end": beta}
    return {"name": name, **arguments, "beta": warmup}


def make_part(kind: str, spec: Any, context: dict[str, Any]) -> Any:
    """Makes one part from its name and arguments.

    Args:
        kind: "posterior", "prior", "likelihood", "objective", "corruption" or
            "schedule".
        spec: a name ("bernoulli", "StandardNormal", "standard_normal": case and
            underscores do not matter), or a dict of the name and arguments. An argument
            that is itself a dict with a name is made first, so wrappers nest.
        context: values for arguments that the spec leaves out, such as latent_dim.

    Returns:
        part: an object of `kvae.posteriors`, `kvae.priors`, ...

    Raises:
        UserError: if there is no such part or argument, or a value is refused.
    """
    name, arguments = _split(kind, spec)
    module, base = _MODULES[kind]
    classes = _public_classes(module, base)
    found = classes.get(_plain(name))
    if found is None:
        raise UserError(
            f"there is no {kind} {name!r}. "
            f"{nearest(name, (c.__name__ for c in classes.values()))}"
        )
    return _call(found, f"{kind} {found.__name__}", arguments, context)


def _network(
    role: str,
    spec: Any,
    default: str | None,
    context: dict[str, Any],
    condition: dict[str, Any],
) -> Any:
    if isinstance(spec, dict) and "name" not in spec:
        if default is None:
            default = "conv" if len(context["data_shape"]) > 1 else "mlp"
        spec = {"name": default, **spec}
    name, arguments = _split(role, default if spec is None else spec)
    functions = {
        key: value
        for key, value in vars(networks).items()
        if inspect.isfunction(value)
        and "activation" in inspect.signature(value).parameters
    }
    maker = functions.get(f"{name}_{role}") or functions.get(name)
    if maker is None or name.endswith(("_encoder", "_decoder")):
        known = {n.removesuffix("_encoder").removesuffix("_decoder") for n in functions}
        raise UserError(f"there is no network {name!r}. {nearest(name, known)}")
    encoding = role == "encoder"
    shape = context["data_shape"] if encoding else (context["latent_dim"],)
    return _call(
        maker,
        f"{name} {role}",
        arguments,
        {**context, "input_shape": shape, "role": role, **condition},
    )


def _split(kind: str, spec: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, str):
        return spec, {}
    name = spec.get("name")
    if not isinstance(name, str):
        raise UserError(
            f'{kind} must say its name, for example {kind}.name="..."; '
            f"received {spec!r}."
        )
    return name, {key: value for key, value in spec.items() if key != "name"}


def _call(
    maker: Any,
    title: str,
    arguments: dict[str, Any],
    context: dict[str, Any],
) -> Any:
    """Calls a constructor with checked arguments and what it asks of the data."""
    named = {
        key: parameter
        for key, parameter in inspect.signature(maker).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    for key in arguments:
        if key not in named:
            open_to_user = set(named) - set(context)
            raise UserError(
                f"{title} has no argument {key!r}. {nearest(key, open_to_user)}"
            )
    filled = {key: value for key, value in context.items() if key in named}
    chosen = {key: _argument(value, context) for key, value in arguments.items()}
    with user_errors(title):
        return maker(**{**filled, **chosen})


def _argument(value: Any, context: dict[str, Any]) -> Any:
    """Makes an argument; a table with a name is a part of whichever kind has it."""
    if isinstance(value, list):
        return tuple(_argument(item, context) for item in value)
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return value
    kinds = [
        k
        for k, known in _MODULES.items()
        if _plain(value["name"]) in _public_classes(*known)
    ]
    if not kinds:
        known = [
            c.__name__ for m in _MODULES.values() for c in _public_classes(*m).values()
        ]
        raise UserError(
            f"there is no part {value['name']!r}. {nearest(value['name'], known)}"
        )
    return make_part(kinds[0], value, context)


def _public_classes(module: types.ModuleType, base: type) -> dict[str, type]:
    return {
        _plain(name): value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, base)
        and not inspect.isabstract(value)
    }


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
