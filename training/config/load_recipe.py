"""Makes a configuration from a recipe and the user's changes."""

from __future__ import annotations

import pathlib
from typing import Any

from kvae.core.errors import UserError, nearest
from kvae.training.config.config import Config
from kvae.training.config.toml import assign, parse_setting, read_toml

_FOLDER = pathlib.Path(__file__).parent / "recipes"
_ALIASES = {"mnist_complete": "mnist_half"}
_OWN_PRIOR = {"preset", "prior", "posterior", "complete"}
"""Keys that bring a prior which a fitted one would replace."""


def recipe_names() -> list[str]:
    """Lists the recipes that kvae ships, by all their names."""
    return sorted([*(path.stem for path in _FOLDER.glob("*.toml")), *_ALIASES])


def load_recipe(
    recipe: str | None = None,
    changes: dict[str, Any] | None = None,
    settings: list[str] | None = None,
) -> Config:
    """Reads a recipe and applies changes to it.

    Args:
        recipe: a name of `recipe_names`, or the path of a .toml file (that of a run,
            its config.toml, repeats the run); None starts from the defaults.
        changes: values by key; None leaves the recipe's.
        settings: "key=value" texts, applied last; "encoder.units=512" sets a key in a
            table, and "likelihood=" resets a key to its default. A preset in the
            changes or settings replaces the recipe's posterior, prior and objective;
            a prior or posterior in them resets the recipe's `fit_prior`.

    Returns:
        config: checked.

    Raises:
        UserError: for an unknown recipe or key, with the nearest, or a wrong value.
    """
    if recipe is not None and not isinstance(recipe, (str, pathlib.Path)):
        raise UserError(f"a recipe is a name or a path; received {recipe!r}.")
    if changes is not None and not isinstance(changes, dict):
        raise UserError(f"changes must be a dict of keys; received {changes!r}.")
    texts = [] if settings is None else settings
    if not isinstance(texts, (list, tuple)) or not all(
        isinstance(t, str) for t in texts
    ):
        raise UserError(f"settings must be a list of key=value; received {settings!r}.")
    values = {} if recipe is None else read_toml(_find(str(recipe)))
    parsed = [(text, *parse_setting(text)) for text in texts]
    given = {key for key, value in (changes or {}).items() if value is not None}
    given |= {path[0] for _, path, _ in parsed}
    if "preset" in given:
        for key in ("posterior", "prior", "objective", "kl_warmup"):
            values.pop(key, None)
    if given & _OWN_PRIOR:
        values.pop("fit_prior", None)
    for key, value in (changes or {}).items():
        if value is not None:
            values[key] = value
    for text, path, value in parsed:
        if len(path) > 1 and not isinstance(
            values.get(path[0]), (str, dict, type(None))
        ):
            raise UserError(f"{path[0]} has no parts, so {text!r} cannot be set.")
        if value == "" and len(path) == 1:
            value = getattr(Config, path[0], None)  # the default
        assign(values, path, value)
    return Config.of(values)


def _find(recipe: str) -> pathlib.Path:
    shipped = _FOLDER / f"{_ALIASES.get(recipe, recipe)}.toml"
    if recipe in recipe_names():
        return shipped
    path = pathlib.Path(recipe).expanduser()
    if path.suffix == ".toml":
        return path
    if path.is_dir() and (path / "config.toml").is_file():
        return path / "config.toml"
    raise UserError(
        f"there is no recipe {recipe!r}. {nearest(recipe, recipe_names())} Or use the "
        "path of a .toml file."
    )
