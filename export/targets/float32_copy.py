"""The model in single precision, whatever precision it was trained in."""

from __future__ import annotations

from typing import Any

_OTHER_FLOATS = ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")


def as_float32(vae: Any) -> Any:
    """Returns the model itself if all of it is float32, else a float32 copy.

    Half-precision graphs do not convert to LiteRT builtins, and a server should not
    depend on how the weights were trained. The copy has the same weights.

    Args:
        vae: a built `kvae.VAE`; it is not changed.

    Returns:
        model: a built `kvae.VAE` that computes in float32.
    """
    layers = vae._flatten_layers(include_self=True, recursive=True)
    if all(layer.dtype_policy.name == "float32" for layer in layers):
        return vae
    config = _in_float32(vae.get_config())
    config["seed"] = config["seed"] or 0  # None would advance numpy's global generator
    copy = type(vae).from_config(config)
    if not copy.built:
        copy.build(vae.get_build_config()["input_shape"])
    copy.set_weights(vae.get_weights())
    return copy


def _in_float32(config: Any) -> Any:
    """Replaces every floating dtype and policy in a Keras configuration."""
    if isinstance(config, (list, tuple)):
        return type(config)(_in_float32(entry) for entry in config)
    if not isinstance(config, dict):
        return config
    if str(config.get("class_name", "")).endswith("DTypePolicy"):
        return {**config, "config": {**config["config"], "name": "float32"}}
    return {
        key: "float32"
        if key == "dtype" and value in _OTHER_FLOATS
        else _in_float32(value)
        for key, value in config.items()
    }
