"""Everything that a run depends on, with checks in the user's words."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

from kvae.core.errors import UserError, nearest
from kvae.training.config.interval import Interval
from kvae.training.config.picture_size import RESIZES, size_of

# Where the data are now, and how often something is written.
_FREE = ("data", "data_dir", "checkpoint", "pictures")

_LATENTS = 16  # where nobody says how many
_PARTS = "preset network encoder decoder posterior prior objective complete".split()

Check = Callable[[Any], str | None]
"""Takes a value; returns what was expected instead, or None if it is right."""


def _whole(least: int, optional: bool = False) -> Check:
    def check(value: Any) -> str | None:
        if optional and value is None:
            return None
        right = isinstance(value, int) and not isinstance(value, bool)
        right = right and least <= value < 2**31
        return None if right else f"an integer from {least} to 2**31 - 1"

    return check


def _number(above: float = -math.inf, least: float = -math.inf) -> Check:
    words = f"above {above:g}" if above > -math.inf else f"of at least {least:g}"

    def check(value: Any) -> str | None:
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
        # What float32 holds, and its inverse: 1e-320 would be 0 there.
        right = right and (value == 0 or 1e-30 <= abs(value) <= 1e30)
        right = right and value > above and value >= least
        return None if right else f"a number {words}"

    return check


def _share(value: Any) -> str | None:
    right = isinstance(value, (int, float)) and not isinstance(value, bool)
    return (
        None if right and 0 < value < 1 else "a number between 0 and 1, such as 0.999"
    )


def _optional(inner: Check) -> Check:
    return lambda value: None if value is None else inner(value)


def _choice(*allowed: str) -> Check:
    def check(value: Any) -> str | None:
        return None if value in allowed else " or ".join(f'"{a}"' for a in allowed)

    return check


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "a name or a path, in quotes"


def _kinds(value: Any) -> str | None:
    names = isinstance(value, dict) and all(isinstance(k, str) for k in value)
    if names and all(isinstance(kind, str) for kind in value.values()):
        return None
    return 'a table of kinds by name, such as {rooms = "number", id = "ignored"}'


def _truth(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _part(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return None
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return None
    return 'a name, or a table such as {name = "...", ...} with the arguments'


def _latents(value: Any) -> str | None:
    many = isinstance(value, (list, tuple)) and len(value) == 3
    if all(_whole(1)(each) is None for each in (value if many else [value])):
        return None
    return (
        "an integer from 1 to 2**31 - 1, or the shape of one latent: height, width, "
        "and channels, such as [16, 16, 4]"
    )


def _size(value: Any) -> str | None:
    try:
        size_of(value)
    except UserError:
        return "a height and a width in pixels, such as 64x48, or one number for both"
    return None


def _interval(value: Any) -> str | None:
    try:
        Interval.of(value)
    except UserError:
        return 'an interval, such as "5 minutes", "500 steps", "2 epochs", or "never"'
    return None


_MEANT = {
    "lr": "learning_rate",
    "batch": "batch_size",
    "beta": "objective.beta",
    "kl": "objective.kl",
    "num_samples": "objective.num_samples",
    "units": "encoder.units and decoder.units",
    "filters": "encoder.filters and decoder.filters",
    "z_dim": "latent_dim",
    "latents": "latent_dim",
    "latent_shape": "latent_dim",
    "loss": "objective",
    "dataset": "data",
    "size": "image_size",
}
"""Common names of keys that have another name here."""


def _key(default: Any, check: Check, doc: str) -> Any:
    return dataclasses.field(default=default, metadata={"check": check, "doc": doc})


@dataclasses.dataclass(frozen=True)
class Config:
    """The configuration of one run, as in a recipe.

    A part (`encoder` to `objective`) is a name, `likelihood = "bernoulli"`, or a table
    of a name and arguments of that part's constructor, `prior = {name = "VampPrior",
    num_components = 500}`. A part that is None is chosen from the data, as in
    `VAE.for_data`.

    Raises:
        UserError: if a value is of the wrong type or out of range.
    """

    data: str = _key(
        "digits",
        _text,
        "digits, flowers, a TFDS name, a .npy/.npz/.csv/.parquet file, a folder",
    )
    data_dir: str | None = _key(None, _optional(_text), "where TFDS keeps its data")
    image_size: Any = _key(
        None,
        _optional(_size),
        "size to which images of a folder or of TFDS are scaled: 64, or 64x48",
    )
    resize: str = _key(
        "crop", _choice(*RESIZES), "crop: crop what is too long; stretch: distort"
    )
    skip_unreadable: bool = _key(False, _truth, "skip damaged images")
    pixel_max: float | None = _key(
        None, _optional(_number(above=0)), "maximum of integer pixels; 1: don't scale"
    )
    columns: Any = _key(
        None,
        _optional(_kinds),
        "kinds of a table's columns: number, count, binary, category, date, ignored",
    )
    validation: float = _key(
        0.1, _number(least=0), "training examples to hold out: a count, or a share < 1"
    )
    binarize: str = _key(
        "none",
        _choice("none", "dynamic"),
        "dynamic: draw the pixels again in each epoch",
    )
    data_kind: str | None = _key(
        None,
        _optional(_choice("vectors", "images", "series")),
        "kind of the examples: vectors, images, series; None: from their shape",
    )
    latent_dim: Any = _key(
        None,
        _optional(_latents),
        "number of latent dimensions, or their shape: [16, 16, 4]; None: from the data",
    )
    preset: Any = _key(None, _part, "a model of kvae.presets, such as beta_vae")
    network: str | None = _key(
        None,
        _optional(_text),
        'encoder and decoder: "mlp", "conv"; None: from the data',
    )
    encoder: Any = _key(None, _part, "a network and its arguments")
    decoder: Any = _key(None, _part, "a network and its arguments")
    posterior: Any = _key(None, _part, "q(z|x), a class of kvae.posteriors")
    prior: Any = _key(None, _part, "p(z), a class of kvae.priors")
    likelihood: Any = _key(None, _part, "p(x|z), a class of kvae.likelihoods")
    objective: Any = _key(None, _part, "a class of kvae.objectives")
    fit_prior: Any = _key(
        None,
        _part,
        "fitted to the latents after training: mixture, flow_matching, real_nvp, ...; "
        "none: no prior, where one would be chosen",
    )
    corruption: Any = _key(
        None, _part, "noise on the encoder's input, a class of kvae.corruptions"
    )
    condition: str | None = _key(
        None, _optional(_choice("label")), '"label": condition the model on labels'
    )
    conditional_prior: bool = _key(False, _truth, "learn p(z|c), not a fixed p(z)")
    complete: Any = _key(
        None, _part, "masks: learn to fill in what they hide; left_half, rectangle"
    )
    mask: Any = _key(None, _part, "masks: learn from the visible entries; random")
    kl_warmup: float = _key(
        0.0, _number(least=0), "epochs over which the weight of the KL grows from 0"
    )
    epochs: int | None = _key(
        None,
        _optional(_whole(1)),
        "passes over the training set; None: 50, or up to 200 for few examples",
    )
    batch_size: int | None = _key(
        None,
        _whole(1, optional=True),
        "examples per step; None: 16 to 128, by the size of the training set",
    )
    optimizer: str = _key("adam", _text, "a class of keras.optimizers")
    learning_rate: float = _key(
        1e-3, _number(above=0), "learning rate of the first step"
    )
    schedule: str = _key(
        "cosine",
        _choice("cosine", "constant"),
        "course of the learning rate over the run",
    )
    final_learning_rate: float = _key(
        0.01,
        _number(least=0),
        "learning rate of the last step, as a share of the first",
    )
    weight_decay: float | None = _key(
        None,
        _optional(_number(least=0)),
        "share of each weight that a step takes off, times the learning rate",
    )
    clip_norm: float | None = _key(
        None, _optional(_number(above=0)), "largest norm of the whole gradient"
    )
    max_gradient_norm: float | None = _key(
        None, _optional(_number(above=0)), "skip steps with a larger gradient norm"
    )
    ema_momentum: float | None = _key(
        None,
        _optional(_share),
        "end with averaged weights; share of the average that a step keeps, as 0.999",
    )
    early_stopping: int = _key(
        0, _whole(0), "epochs without a better validation ELBO before stopping; 0: off"
    )
    jit_compile: bool = _key(
        False,
        _truth,
        "compile steps with XLA: dense networks on CPUs take half the time",
    )
    steps_per_execution: int | None = _key(
        None, _whole(1, optional=True), "steps per call into TensorFlow, approximately"
    )
    strategy: str | None = _key(
        None,
        _optional(_choice("mirrored", "multi_worker")),
        "mirrored: all devices of this machine; multi_worker: machines of TF_CONFIG",
    )
    precision: str = _key(
        "float32",
        _choice("float32", "mixed_bfloat16", "mixed_float16", "float64"),
        "precision of the networks; densities have at least float32",
    )
    checkpoint: str = _key(
        "1 minute", _interval, "how often to save the state that --resume starts from"
    )
    pictures: str = _key(
        "5 minutes",
        _interval,
        "how often to draw samples and reconstructions during training",
    )
    eval_samples: int = _key(1, _whole(1), "latents per example in the test ELBO")
    seed: int = _key(0, _whole(0), "seed of weights, noise, order, and binarization")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            expected = field.metadata["check"](value)
            if expected is not None:
                raise UserError(f"{field.name} must be {expected}; received {value!r}.")
        if self.seed >= 2**31:
            raise UserError(f"seed must be below 2**31; received {self.seed}.")
        if self.conditional_prior and self.condition is None:
            raise UserError(
                "conditional_prior learns p(z|c), but condition is not set; set "
                'condition="label", or conditional_prior=false.'
            )
        if self.early_stopping and self.ema_momentum is not None:
            raise UserError(
                "early_stopping restores the weights of one epoch and ema_momentum ends "
                "with averaged ones; set only one of them."
            )
        if self.early_stopping and not self.validation:
            raise UserError(
                "early_stopping watches the validation ELBO, but validation=0 holds "
                "out no examples; set validation=0.1, or early_stopping=0."
            )

    @classmethod
    def of(cls, values: dict[str, Any]) -> Config:
        """Makes a configuration from the values of a recipe and the command line.

        Args:
            values: by key; missing keys have their defaults.

        Returns:
            config: checked.

        Raises:
            UserError: for an unknown key, with the nearest, or a wrong value.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                hint = _MEANT.get(key)
                hint = f"Did you mean {hint}?" if hint else nearest(key, known)
                raise UserError(
                    f"there is no key {key!r}. "
                    f"{hint or 'kvae train --keys lists all of them.'}"
                )
        return cls(**values)

    @property
    def latents(self) -> int | tuple[int, ...] | None:
        """The number of latents or the shape of one; None if the data decide.

        Data decide where all parts are chosen; parts that were named get a vector.
        """
        if isinstance(self.latent_dim, (list, tuple)):
            return tuple(self.latent_dim)
        named = any(getattr(self, part) is not None for part in _PARTS)
        return _LATENTS if self.latent_dim is None and named else self.latent_dim

    def to_dict(self) -> dict[str, Any]:
        """Returns all keys with their values, including defaults."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def deciding(self) -> dict[str, Any]:
        """Returns the keys on which the numbers of a run depend, as JSON types."""
        values = {k: v for k, v in self.to_dict().items() if k not in _FREE}
        return json.loads(json.dumps(values))


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Says how two dicts differ, "epochs was 5 and is 9"; "" if they are equal."""
    return "; ".join(
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in {**before, **now}
        if before.get(key) != now.get(key)
    )


def describe_keys() -> str:
    """Lists every key with its default and meaning, one per line."""
    lines = []
    for field in dataclasses.fields(Config):
        default = "chosen" if field.default is None else field.default
        lines.append(f"  {field.name} = {default!s:10} {field.metadata['doc']}")
    return "\n".join(lines)
