"""Every public callable of kvae with arguments that it takes, for tests that spoil them."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_probability as tfp

import kvae
import kvae.datasets
import kvae.detection
import kvae.evaluation
import kvae.noise
import kvae.reports
import kvae.training
from support import small

MODULES = (
    kvae,
    kvae.corruptions,
    kvae.datasets,
    kvae.evaluation,
    kvae.likelihoods,
    kvae.masks,
    kvae.maths,
    kvae.networks,
    kvae.noise,
    kvae.objectives,
    kvae.posteriors,
    kvae.presets,
    kvae.priors,
    kvae.reports,
    kvae.schedules,
    kvae.series,
)
TRAINING = ("Config", "binarize_once", "load_data", "load_model_file", "load_recipe",
            "measure", "open_run", "recipe_names", "write_shards")  # fmt: skip
METHODS = ("complete", "decode", "elbo", "embed", "encode", "evaluate", "fit",
           "forecast", "predict", "reconstruct", "sample", "with_prior",
           "compile")  # fmt: skip

X = small.binary(40)
FRAME = pd.DataFrame({"age": np.arange(40.0), "job": ["boss", "cook"] * 20})
_RNG = np.random.default_rng(0)
_PAIR = _RNG.normal(size=(40, 3)), _RNG.normal(size=(40, 3))
_FLOATS = np.full((3, 2), 0.5, "float32")
_PICTURES = _RNG.random((40, 12, 12, 1)).astype("float32")
_IMAGE = {"data_shape": (8, 8, 1)}
_MAPS = {"levels": ((3, 3, 1),), "width": 4}
_FEW = {
    "num_samples": 2, "num_chains": 2, "num_steps": 10, "num_leapfrog": 1,
    "num_examples": 2, "num_votes": 20, "num_latents": 10, "num_trees": 2,
    "epochs": 1, "num_hard": 2,
}  # fmt: skip
"""What keeps a call short, where a callable has it."""


def picture_network() -> Any:
    x = keras.Input((12, 12, 1))
    return keras.Model(x, keras.layers.Conv2D(3, 3)(x))


def deep() -> Any:
    return kvae.presets.deep_vae(_PICTURES, {3: 1}, width=4, features=2)


def features() -> Any:
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])


def _values(vae: kvae.VAE) -> dict[str, Any]:
    """What parameters without a default take, by their names."""
    scores = {"p": np.arange(40.0), "q": np.arange(40.0) + 1}
    return {
        "x": X, "vae": vae, "model": vae, "latent_dim": 2, "latent_shape": (4, 4, 2),
        "latent_dims": (2, 1), "data_shape": (6,), "input_shape": (6,), "dim": 3,
        "units": (8,), "move_odd": True, "height": 2, "width": 2, "rate": 2,
        "in_degrees": (1, 2), "out_degrees": (1, 2), "classes": 3, "count": 2,
        "shape": (2, 3), "condition_shape": (12,), "levels": 4, "dataset_size": 40,
        "columns": [{"name": "a", "kind": "real"}], "feature_model": features(),
        "network": None, "families": [kvae.masks.Half()], "function": tf.identity,
        "masks": "random", "mask": np.ones_like(X), "y": np.arange(40) % 2,
        "latents": _PAIR[0], "factors": _RNG.integers(0, 2, (40, 2)), "a": _PAIR[0],
        "b": _PAIR[1], "real": _PAIR[0], "fake": _PAIR[1], "per_example": scores,
        "inputs": kvae.core.inputs.Inputs(X), "images": np.zeros((1, 2, 4, 4)),
        "z": _FLOATS, "loc": _FLOATS, "scale": _FLOATS, "logits": _FLOATS,
        "log_rate": _FLOATS, "log_mean": _FLOATS, "total_count": _FLOATS, "low": 0.0,
        "high": 1.0, "bound": 0.1, "values": _FLOATS[:, 0], "steps": 10,
        "log_weights": np.zeros((3, 4), "float32"), "noise": np.zeros(3, "float32"),
        "compute_dtype": "float32", "encoder": vae.encoder, "decoder": vae.decoder,
        "posterior": vae.posterior, "likelihood": vae.likelihood,
        "key": tf.constant([1, 2]), "counter": tf.constant([1, 2]),
        "example": tf.range(2), "parts": {"train": [X]}, "path": "none",
        "labels": np.arange(40) % 2,
        "folder": "shards", "source": "digits", "prior": kvae.priors.StandardNormal(2),
        "base": tfp.distributions.MultivariateNormalDiag(np.zeros(2, "float32")),
        "forward": lambda u: (u, u[..., 0]), "inverse": lambda z: (z, z[..., 0]),
    }  # fmt: skip


def _special(vae: kvae.VAE) -> dict[str, dict[str, Any]]:
    """Arguments that only some callables take so."""
    comparison = kvae.evaluation.compare({"p": np.arange(9.0), "q": np.ones(9)})
    detector = kvae.detection.Detector(vae, score="elbo").calibrate(X)
    visible = {"data_shape": (8, 8, 1), "condition_shape": (8, 8, 2)}
    images = dict.fromkeys(
        ("conv_encoder", "conv_decoder", "residual_encoder", "residual_decoder"), _IMAGE
    )
    return {
        **images,
        "masked_encoder": _IMAGE,
        "patch_discriminator": _IMAGE,
        "visible_encoder": visible,
        "visible_decoder": visible,
        "visible_network": {"condition_shape": (8, 8, 2)},
        "series_encoder": {"data_shape": (8, 2)},
        "series_decoder": {"data_shape": (8, 2)},
        "recurrent_encoder": {"data_shape": (4, 2)},
        "recurrent_decoder": {"data_shape": (4, 2)},
        "StandardizeVisible": {"data_shape": (4, 2)},
        "windows": {"x": np.zeros((9, 2)), "length": 4},
        "pad": {"series": [np.zeros((4, 2)), np.zeros((3, 2))]},
        "forecast": {"past": X[:, :3]},
        "compare_report": {
            "models": {"p": vae, "q": vae},
            "inputs": {"p": X, "q": X},
            "comparison": comparison,
        },
        "report": {"results": {}},
        "continuous_bernoulli_log_prob": {"x": _FLOATS},
        "discretized_logistic_log_prob": {"x": _FLOATS},
        "negative_binomial_log_prob": {"x": _FLOATS},
        "poisson_log_prob": {"x": _FLOATS},
        "fit_prior": {"num_components": 2},
        "fit_mixture": {"num_components": 2},
        "feature_classifier": {"x": np.tile(X, (2, 1)), "y": np.arange(80) % 2},
        "factor_shapes": {"size": 16, "scales": 2, "rotations": 2, "positions": 2},
        "sample_quality": {"features": "pixels", "num_samples": 40},
        "make_flowers": {"num": 2, "size": 8},
        "interpolate": {"a": X[:1], "b": X[1:2]},
        "ColumnFeatures": {"levels": [0, 3]},
        "compare_tables": {"real": FRAME, "synthetic": FRAME, "schema": None},
        "table_quality": {
            "train": FRAME,
            "test": FRAME,
            "synthetic": FRAME,
            "target": "job",
        },
        "anomaly_report": {"detector": detector, "found": detector.detect(X, 0.05)},
        "impute": {"mask": np.ones_like(X)},
        "complete": {"mask": np.ones_like(X)},
        "Perceptual": {"distance": features()},
        "ms_ssim": {"a": _PICTURES, "b": _PICTURES},
        "feature_distance": {"x": _PICTURES, "steps": 1},
        "application_features": {
            "network": picture_network(),
            "data_shape": (12, 12, 1),
        },
        "completing_vae": {"masks": "random"},
        "evaluate": {"only": ("elbo",)},
        "fit": {"x": X, "verbose": 0},
        "VAE.evaluate": {"x": X, "verbose": 0},
        "TopDownTrunk": {"data_shape": (12, 12, 1), **_MAPS},
        "bottom_up_encoder": {"data_shape": (12, 12, 1), **_MAPS},
        "TopDownMaps": _MAPS,
        "deep_vae": {"x": _PICTURES, **_MAPS, "levels": {3: 1}},
        "level_reconstructions": {"vae": deep(), "x": _PICTURES},
        "PixelCNN": {"likelihood": kvae.likelihoods.Bernoulli((4, 4))},
        "Bottleneck": {"channels": 4, "hidden": 2},
        "MaskedConvolution": {"channels": 4},
        "Grow": {"channels": 4, "size": (4, 4)},
        "predict": {"verbose": 0},
        "sample": {"num": 2},
        "compile": {},
    }


def callables(
    vae: kvae.VAE,
) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Yields name, callable and good arguments; results and base classes are left out."""
    values, special = _values(vae), _special(vae)
    for name, call in _public(vae):
        short = name.rsplit(".", 1)[1]
        own = special.get(name, special.get(short, {}))
        good: dict[str, Any] = {}
        for parameter in inspect.signature(call).parameters.values():
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            if parameter.name in own:
                good[parameter.name] = own[parameter.name]
            elif parameter.name in _FEW and short != "Config":
                good[parameter.name] = _FEW[parameter.name]
            elif parameter.default is parameter.empty:
                good[parameter.name] = values.get(parameter.name)
        yield name, call, {**good, **{k: v for k, v in own.items() if k not in good}}


def _public(vae: kvae.VAE) -> Iterator[tuple[str, Callable[..., Any]]]:
    for module in MODULES:
        for name, call in sorted(vars(module).items()):
            if name.startswith("_") or isinstance(call, types.ModuleType):
                continue
            if (
                call is types.ModuleType
                or not callable(call)
                or inspect.isabstract(call)
            ):
                continue
            if inspect.isclass(call) and issubclass(call, kvae.evaluation.Result):
                continue
            if name in ("Estimate", "FactorShapes", "LatentMap"):
                continue  # what evaluations return
            yield f"{module.__name__}.{name}", call
    for name in TRAINING:
        yield f"kvae.training.{name}", getattr(kvae.training, name)
    yield "kvae.VAE.for_data", kvae.VAE.for_data
    for name in METHODS:
        yield f"VAE.{name}", getattr(vae, name)
