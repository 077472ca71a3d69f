"""A .keras file that is damaged, or made to do harm."""

import io
import json
import pathlib
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import kvae
from kvae.core.errors import UserError
from kvae.training.run.model_file import load_model_file

X = np.random.default_rng(0).random((20, 4, 4, 1), dtype="float32")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    vae = kvae.VAE.for_data(X, latent_dim=2, seed=0)
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, 10)
    vae.compile(keras.optimizers.Adam(schedule))
    vae.fit(X, verbose=0)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    vae.save(path)
    return path


def rewrite(
    good: pathlib.Path, path: pathlib.Path, change: Callable[[dict[str, Any]], None]
) -> pathlib.Path:
    """Copies a model file with another config.json."""
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            target.writestr(name, content)
    return path


def test_a_good_file_loads_with_its_numbers(good: pathlib.Path) -> None:
    vae = load_model_file(good)
    np.testing.assert_array_equal(vae.elbo(X), keras.saving.load_model(good).elbo(X))


def lambda_layer(trap: pathlib.Path) -> dict[str, Any]:
    code = f"lambda x: (__import__('pathlib').Path({str(trap)!r}).touch(), x)[1]"
    layer = keras.layers.Lambda(eval(code))  # what an attacker would write
    return keras.saving.serialize_keras_object(layer)


HOSTILE = {
    "pickled class": {
        "module": "pathlib",
        "class_name": "Path",
        "config": {},
        "registered_name": None,
    },
    "other package": {
        "module": "evil",
        "class_name": "Layer",
        "config": {},
        "registered_name": "evil>Layer",
    },
    "borrowed name": {
        "module": "evil",
        "class_name": "Layer",
        "config": {},
        "registered_name": "kvae>NoSuchPart",
    },
    "saved model": {
        "module": "keras.layers",
        "class_name": "TFSMLayer",
        "config": {"filepath": "evil"},
        "registered_name": None,
    },
    "file reader": {
        "module": "keras.layers",
        "class_name": "StringLookup",
        "config": {"vocabulary": "secret"},
        "registered_name": None,
    },
    "function": {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "get_file",
    },
    "class behind a dot": {
        "module": "keras",
        "class_name": "layers.TFSMLayer",
        "config": {"filepath": "evil"},
        "registered_name": None,
    },
    "function for a class": {
        "module": "keras.layers",
        "class_name": "concatenate",
        "config": {},
        "registered_name": None,
    },
    "function that is not an activation": {
        "module": "builtins",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "function",
    },
    "maker of activations": {
        "module": "builtins",
        "class_name": "function",
        "config": "deserialize",
        "registered_name": "function",
    },
    "class of another kind": {
        "module": "keras",
        "class_name": "Variable",
        "config": {},
        "registered_name": None,
    },
    "list for a registered name": {
        "module": "keras",
        "class_name": "Model",
        "config": {},
        "registered_name": ["kvae>VAE"],
    },
    "list for a module": {"module": ["keras"], "class_name": "Model", "config": {}},
    "old format": {"class_name": "Dense", "config": {"units": 3}},
    "nameless": {"class_name": ["Dense"], "config": {}},
}


@pytest.mark.parametrize("kind", [*HOSTILE, "lambda"])
@pytest.mark.parametrize("place", ["encoder", "optimizer", "deep inside"])
def test_foreign_parts_are_refused(
    good: pathlib.Path, tmp_path: pathlib.Path, kind: str, place: str
) -> None:
    trap = tmp_path / "trap"
    evil = lambda_layer(trap) if kind == "lambda" else HOSTILE[kind]

    def change(config: dict[str, Any]) -> None:
        if place == "encoder":
            config["config"]["encoder"] = evil
        elif place == "optimizer":
            config["compile_config"]["optimizer"] = evil
        else:
            config["config"]["encoder"]["config"]["layers"][1]["config"][
                "kernel_initializer"
            ] = evil

    path = rewrite(good, tmp_path / "evil.keras", change)
    with pytest.raises(UserError, match="is not a part of a kvae model"):
        load_model_file(path)
    assert not trap.exists()


def test_another_model_is_refused(tmp_path: pathlib.Path) -> None:
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(UserError, match=r"holds a Sequential, not a kvae\.VAE"):
        load_model_file(tmp_path / "other.keras")


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_file_is_named(
    good: pathlib.Path, tmp_path: pathlib.Path, keep: float
) -> None:
    whole = good.read_bytes()
    path = tmp_path / "cut.keras"
    path.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises(UserError, match="is damaged"):
        load_model_file(path)


def test_flipped_bits_are_found(good: pathlib.Path, tmp_path: pathlib.Path) -> None:
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "flipped.keras"
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match="is damaged"):
        load_model_file(path)


def test_weights_that_do_not_fit_are_named(
    good: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    def change(config: dict[str, Any]) -> None:
        config["config"]["encoder"]["config"]["layers"][1]["config"]["filters"] = 7

    path = rewrite(good, tmp_path / "a.keras", change)
    with pytest.raises(UserError, match="is damaged and cannot be loaded"):
        load_model_file(path)


def test_a_large_configuration_is_refused_before_it_is_read(
    good: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """It takes a few bytes to make Python hold a hundred times as many."""

    def change(config: dict[str, Any]) -> None:
        config["config"]["note"] = [[]] * 10**6

    path = rewrite(good, tmp_path / "a.keras", change)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"its config\.json is larger than 2 MiB"):
        load_model_file(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_weights_that_are_not_numbers_are_named(
    good: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    vae = load_model_file(good)
    weights = vae.get_weights()
    place = next(i for i, w in enumerate(weights) if w.ndim > 1)
    weights[place] = np.full_like(weights[place], np.nan)
    vae.set_weights(weights)
    vae.save(tmp_path / "nan.keras")
    with pytest.raises(UserError, match="holds NaN or infinity in 1 of its weights"):
        load_model_file(tmp_path / "nan.keras")


def test_strange_archives_are_named(good: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.keras"
    with pytest.raises(UserError, match="there is no model file"):
        load_model_file(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../evil.py", "print()")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match="should hold config.json"):
        load_model_file(path)
    rewrite(good, path, lambda config: config.clear())
    with pytest.raises(UserError, match="holds a nameless object"):
        load_model_file(path)
