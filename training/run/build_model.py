"""Builds the parts of a model from the names in a recipe."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import types
import typing
from collections.abc import Callable, Sequence
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
    presets,
    priors,
    schedules,
)
from kvae.core.errors import UserError, nearest, user_errors
from kvae.model.defaults import condition_options
from kvae.tables import Schema
from kvae.training.config.config import Config
from kvae.training.data.pipeline import steps_per_epoch
from kvae.training.data.sources import ExamplesOnDisk
from kvae.training.run.completion import build_completing
from kvae.training.run.number_of_steps import batch_size_for

_MODULES: dict[str, tuple[types.ModuleType, type]] = {
    "posterior": (posteriors, posteriors.Posterior),
    "prior": (priors, priors.Prior),
    "likelihood": (likelihoods, likelihoods.Likelihood),
    "corruption": (corruptions, corruptions.Corruption),
    "objective": (objectives, objectives.Objective),
    "schedule": (schedules, keras.optimizers.schedules.LearningRateSchedule),
}

_DEFAULTS = {
    "objective": "ELBO",
    "prior": "StandardNormal",
    "posterior": "DiagonalNormal",
}
"""The parts that arguments without a name belong to."""


def build_model(
    config: Config, x: Any, condition: Any = None, schema: Schema | None = None
) -> VAE:
    """Builds the model of a configuration; the data decide what it leaves open.

    Args:
        config: of the run.
        x: (N, *data_shape) training examples; for those on disk, a sample decides.
        condition: (N,) labels that x is conditioned on, or None.
        schema: of x, if it is a table.

    Returns:
        vae: built, not compiled.

    Raises:
        UserError: for an unknown part or argument, with similar names, or parts that
            don't fit together.
    """
    count = len(x)
    if isinstance(x, ExamplesOnDisk):
        rows = x.sample_rows(condition)
        x, condition = x[rows], None if condition is None else condition[rows]
    context = {"data_shape": tuple(x.shape[1:]), "latent_dim": config.latents}
    given: dict[str, Any] = {}
    options = {} if condition is None else condition_options(condition)
    for role in () if config.complete is not None else _NETWORKS:
        if getattr(config, role) is not None or config.network is not None:
            make = functools.partial(_network, role, config, context, options)
            # An encoder is made once the layer that prepares x for it is known.
            given[role] = _later(make) if role == "encoder" else make()
    nameless: dict[str, Any] = {}
    for kind in ("posterior", "prior", "likelihood", "objective", "corruption"):
        spec = getattr(config, kind)
        if config.preset is not None and isinstance(spec, dict) and "name" not in spec:
            nameless[kind] = spec
            continue
        if kind == "objective" and config.kl_warmup and config.preset is None:
            spec = _with_warmup(config, spec, count)
        if kind == "likelihood" and spec is None and config.binarize == "dynamic":
            spec = "Bernoulli"  # for the drawn pixels; x holds probabilities
        if spec is not None:
            given[kind] = make_part(kind, spec, context)
    if config.complete is not None and schema is not None:
        raise UserError(
            "complete is for images and series; a model of a table fills in what is "
            "missing without it (kvae impute). Leave it out."
        )
    if config.complete is not None:
        return build_completing(config, x, given)
    if config.mask is not None:
        with user_errors():
            family = masks.as_family(config.mask)
        given["objective"] = objectives.Masked(given.get("objective"), family)
    given |= {"seed": config.seed, "data_kind": config.data_kind}
    if schema is not None:
        given["schema"] = schema
    if condition is not None:
        given |= {
            "condition": condition,
            "conditional_prior": config.conditional_prior,
        }
    if config.preset is not None:
        return _preset(config, x, count, nameless, given, context)
    with user_errors():
        return VAE.for_data(x, config.latents, **given)


def _with_warmup(config: Config, spec: Any, examples: int) -> dict[str, Any]:
    """Lets the objective's beta grow to its value over `kl_warmup` epochs."""
    name, arguments = _split("objective", spec or "ELBO")
    warmup = _warmup(config, arguments.get("beta", 1.0), examples)
    return {"name": name, **arguments, "beta": warmup}


def _warmup(config: Config, beta: Any, examples: int) -> dict[str, Any]:
    if not isinstance(beta, numbers.Real):
        raise UserError("kl_warmup conflicts with a schedule as beta; set kl_warmup=0.")
    steps = math.ceil(
        config.kl_warmup * steps_per_epoch(examples, batch_size_for(config, examples))
    )
    return {"name": "LinearWarmup", "steps": steps, "end": float(beta)}


def _preset(
    config: Config,
    x: Any,
    examples: int,
    nameless: dict[str, dict[str, Any]],
    given: dict[str, Any],
    context: dict[str, Any],
) -> VAE:
    """Builds the model of a preset.

    Args:
        config: of the run.
        x: (n, *data_shape) training examples, or a sample of them.
        examples: how many there are in total.
        nameless: arguments of parts without a name, such as {"objective": {"beta": 4}};
            the preset gets those that it takes.
        given: keyword arguments of `VAE.for_data`.
        context: as of `make_part`.
    """
    makers = {
        _plain(name): maker
        for name, maker in vars(presets).items()
        if inspect.isfunction(maker) and maker not in _PRESETS_OF_PYTHON
    }
    name, own = _split("preset", config.preset)
    if (maker := makers.get(_plain(name))) is None:
        known = [maker.__name__ for maker in makers.values()]
        raise UserError(f"there is no preset {name!r}. {nearest(name, known)}")
    title, of_maker = f"preset {maker.__name__}", inspect.signature(maker).parameters
    arguments = dict(own)
    for kind, spec in nameless.items():
        arguments |= {key: value for key, value in spec.items() if key in of_maker}
        if rest := {k: value for k, value in spec.items() if k not in of_maker}:
            given[kind] = make_part(kind, rest, context)
    if config.kl_warmup:
        if "beta" not in of_maker:
            raise UserError(f"{title} has no weight on the KL; set kl_warmup=0.")
        beta = arguments.get("beta", of_maker["beta"].default)
        arguments["beta"] = _warmup(config, beta, examples)
    if maker is presets.beta_tc_vae and examples != len(x):
        raise UserError(
            f"{title} counts the examples, but they are on disk; use --set "
            f"objective.name=BetaTC --set objective.num_examples={examples} instead."
        )
    try:
        return _call(
            maker, title, arguments, {"latent_dim": config.latents}, (x,), given
        )
    except UserError as error:
        _, found, named = str(error).partition("multiple values for keyword argument ")
        if not found:
            raise
        other = named.strip("'")
        keys = ("network", *_NETWORKS) if other in _NETWORKS else (other,)
        remove = " ".join(f"--set {key}=" for key in keys)
        raise UserError(
            f"{title} makes the {other} itself; remove yours with {remove} or leave out "
            "the preset."
        ) from None


_NETWORKS = ("encoder", "decoder")
_PRESETS_OF_PYTHON = (presets.dfc_vae, presets.completing_vae)
"""The presets that take a model or masks; `complete` replaces the latter."""


def make_part(kind: str, spec: Any, context: dict[str, Any]) -> Any:
    """Makes one part from its name and arguments.

    Args:
        kind: "posterior", "prior", "likelihood", "objective", "corruption" or
            "schedule".
        spec: a name ("bernoulli", "StandardNormal", "standard_normal": case and
            underscores don't matter), or a dict of name and arguments. An argument that
            is itself a dict with a name is made first, so wrappers nest.
        context: values for arguments that the spec omits, such as latent_dim.

    Returns:
        part: an object of `kvae.posteriors`, `kvae.priors`, ...

    Raises:
        UserError: if there is no such part or argument, or a value is invalid.
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


def _later(make: Callable[..., Any]) -> Callable[[Any], Any]:
    """Makes a function of the layer that prepares x, which `VAE.for_data` takes."""
    return lambda preprocess: make(preprocess=preprocess)


def _network(
    role: str,
    config: Config,
    context: dict[str, Any],
    condition: dict[str, Any],
    preprocess: Any = None,
) -> Any:
    spec, default = getattr(config, role), config.network
    if isinstance(spec, dict) and "name" not in spec:
        if default is None:
            default = "conv" if len(context["data_shape"]) > 1 else "mlp"
            default = "series" if config.data_kind == "series" else default
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
    latents = context["latent_dim"]
    latents = latents if isinstance(latents, tuple) else (latents,)
    return _call(
        maker,
        f"{name} {role}",
        arguments,
        {
            **context,
            "input_shape": context["data_shape"] if encoding else latents,
            "latent_shape": latents,
            "role": role,
            "preprocess": preprocess,
            **condition,
        },
    )


def _split(kind: str, spec: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, str):
        return spec, {}
    name = spec.get("name", _DEFAULTS.get(kind))
    if not isinstance(name, str):
        raise UserError(
            f"{kind} must have a name, for example --set {kind}.name=...; received "
            f"{spec!r}."
        )
    return name, {key: value for key, value in spec.items() if key != "name"}


def _call(
    maker: Any,
    title: str,
    arguments: dict[str, Any],
    context: dict[str, Any],
    first: tuple[Any, ...] = (),
    further: dict[str, Any] | None = None,
) -> Any:
    """Calls a constructor with checked arguments and the context that it takes.

    Args:
        maker: a class or function.
        title: its name, for messages.
        arguments: of the user.
        context: values for arguments of these names, if it has them.
        first: arguments before all others.
        further: keyword arguments that are passed on unchecked.
    """
    named = {
        key: parameter
        for key, parameter in inspect.signature(maker).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    for key in arguments:
        if key not in named:
            open_to_user = set(list(named)[len(first) :]) - set(context)
            raise UserError(
                f"{title} has no argument {key!r}. "
                f"{_others_with(maker, key) or nearest(key, open_to_user)}"
            )
    filled = {key: value for key, value in context.items() if key in named}
    hints = typing.get_type_hints(maker.__init__ if inspect.isclass(maker) else maker)
    chosen = {
        key: _as_many(f"{key} of {title}", _argument(value, context), hints.get(key))
        for key, value in arguments.items()
    }
    with user_errors(title):
        return maker(*first, **{**filled, **chosen}, **(further or {}))


def _others_with(maker: Any, key: str) -> str:
    """Names the parts of the same kind that have an argument."""
    for module, base in _MODULES.values():
        if inspect.isclass(maker) and issubclass(maker, base):
            known = [
                found.__name__
                for found in _public_classes(module, base).values()
                if key in inspect.signature(found).parameters
            ]
            if known:
                return f"Parts that have it: {', '.join(sorted(known))}."
    return ""


def _as_many(title: str, value: Any, hint: Any) -> Any:
    """Accepts a number for a list of one, and a list of one for a number."""
    kinds = typing.get_args(hint) if _is_union(hint) else (hint,)
    lists = any(
        inspect.isclass(origin := typing.get_origin(kind) or kind)
        and issubclass(origin, Sequence)
        and origin is not str
        for kind in kinds
    )
    single = any(kind in (int, float) for kind in kinds)
    if isinstance(value, numbers.Real) and lists and not single:
        return (value,)
    if isinstance(value, tuple) and single and not lists:
        if len(value) != 1:
            raise UserError(f"{title} must be one number; received {list(value)}.")
        return value[0]
    return value


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _argument(value: Any, context: dict[str, Any]) -> Any:
    """Makes an argument; a table with a name becomes a part, of any kind."""
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
