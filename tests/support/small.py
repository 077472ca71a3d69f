"""Models and data so small that a test may train them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

import kvae
from kvae.networks import mlp

DIM = 6


@keras.saving.register_keras_serializable(package="kvae_tests")
class NoiseFree(kvae.posteriors.Posterior):
    """A diagonal normal whose draws are loc + scale: a loss without any randomness."""

    def __init__(self, latent_dim: int, **kwargs: Any) -> None:
        super().__init__(latent_dim, **kwargs)
        self.inner = kvae.posteriors.DiagonalNormal(latent_dim, dtype=self.dtype_policy)

    def build(self, features_shape):
        if not self.inner.built:
            self.inner.build(features_shape)
        self.built = True

    def call(self, features):
        return self.inner(features)

    def distribution(self, params):
        return self.inner.distribution(params)

    def sample(self, params, noise):
        return params["loc"] + params["scale"] + 0.0 * noise


def binary(num: int = 50, seed: int = 0) -> np.ndarray:
    """(num, 6) zeros and ones with something to learn: columns agree in pairs."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (num, DIM // 2))
    flips = rng.random((num, DIM)) < 0.1
    return np.abs(np.repeat(bits, 2, axis=1) - flips).astype("float32")


def vae(compile: dict[str, Any] | None = None, **parts: Any) -> kvae.VAE:
    """A VAE on `binary` with two latents; the weights are the same at every call."""
    keras.utils.set_random_seed(1)
    defaults = {
        "encoder": lambda: mlp((DIM,), (8,), "tanh"),
        "decoder": lambda: mlp((2,), (8,), "tanh", role="decoder"),
        "posterior": lambda: kvae.posteriors.DiagonalNormal(2),
        "likelihood": lambda: kvae.likelihoods.Bernoulli((DIM,)),
        "seed": lambda: 5,
    }
    parts = {
        name: make() for name, make in defaults.items() if name not in parts
    } | parts
    model = kvae.VAE(**parts)
    model.compile(**({"optimizer": keras.optimizers.Adam(0.01)} | (compile or {})))
    return model


def noise_free(**arguments: Any) -> kvae.VAE:
    """The same with `NoiseFree`."""
    keras.utils.set_random_seed(1)
    return vae(posterior=NoiseFree(2), **arguments)


def weights(model: keras.Model) -> list[np.ndarray]:
    return [np.array(v) for v in model.trainable_variables]


def largest_difference(left: keras.Model, right: keras.Model) -> float:
    pairs = zip(weights(left), weights(right), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def rewinder(model: keras.Model) -> Callable[[], None]:
    """Returns what puts a model and its optimizers back as they are now.

    Its compiled programs stay: a test that trains again does not compile again.
    """
    model.optimizer.build(model.trainable_variables)
    own = [optimizer for optimizer, _ in model.objective.own_optimizers()]
    variables = [v for o in (model, model.optimizer, *own) for v in o.variables]
    kept = [(v, np.array(v)) for v in variables]

    def rewind() -> None:
        for variable, value in kept:
            variable.assign(value)

    return rewind


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    """Sets the global dtype policy, and puts float32 back."""
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Computes everything in float64, the inputs of networks included."""
    keras.config.set_floatx("float64")
    try:
        with policy("float64"):
            yield
    finally:
        keras.config.set_floatx("float32")


def environment() -> dict[str, str]:
    """Of a new process that imports the library and these helpers."""
    tests = pathlib.Path(__file__).parents[1]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)]),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }


def fresh_python(script: pathlib.Path | str, *args: Any) -> str:
    """Runs a script, or source text, in a new process and returns what it printed."""
    how = [str(script)] if isinstance(script, pathlib.Path) else ["-c", script]
    command = [sys.executable, *how, *map(str, args)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
