"""Reads .keras files that may be damaged or malicious."""

from __future__ import annotations

import json
import pathlib
import zipfile
from typing import Any

import keras
from keras.src.models import functional, sequential

from kvae.core.errors import UserError, is_damage
from kvae.training.checkpoint.training_state import bad_variables

_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
_LARGEST = 16 << 30  # bytes a file may unpack to
_LARGEST_CONFIG = 2 << 20  # of config.json; the largest preset has 28 kB
_MODELS = (keras.Model, keras.dtype_policies.DTypePolicy)
# Allowed classes: those of these kinds in each module.
_CLASSES: dict[str, tuple[Any, Any]] = {
    "keras": (keras, _MODELS),
    "keras.constraints": (keras.constraints, keras.constraints.Constraint),
    "keras.dtype_policies": (keras.dtype_policies, _MODELS),
    "keras.initializers": (keras.initializers, keras.initializers.Initializer),
    "keras.layers": (keras.layers, keras.layers.Layer),
    "keras.models": (keras.models, _MODELS),
    "keras.optimizers": (keras.optimizers, keras.optimizers.Optimizer),
    "keras.optimizers.schedules": (
        keras.optimizers.schedules,
        keras.optimizers.schedules.LearningRateSchedule,
    ),
    "keras.regularizers": (keras.regularizers, keras.regularizers.Regularizer),
    "keras.src.models.functional": (functional, _MODELS),
    "keras.src.models.sequential": (sequential, _MODELS),
}
_NO_ACTIVATIONS = {"get", "serialize", "deserialize"}
_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__tuple__", "__bytes__"}
# Layers that run code from the file, or open other files that it names.
_REFUSED = {
    "Lambda",
    "TFSMLayer",
    "TorchModuleWrapper",
    "JaxLayer",
    "FlaxLayer",
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
    "IndexLookup",
    "__lambda__",
}


def load_model_file(path: pathlib.Path | str) -> Any:
    """Loads a model that `kvae train` wrote.

    Before Keras sees the file, every class that it names is checked: only Keras' own
    layers and the parts of kvae are allowed. Nothing is unpickled, and Keras' safe mode
    stays on.

    Args:
        path: of the .keras file.

    Returns:
        vae: the `kvae.VAE`.

    Raises:
        UserError: if the file is missing, damaged, or holds anything else.
        OSError: if the system refuses to read it.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"there is no model file {path}; check the path.")
    config = _read_config(path)
    for where, name in _foreign(config):
        raise UserError(
            f"{path} names {name!r} (in {where}), which is not a part of a kvae model and "
            "could run foreign code; it is not loaded. Use only files that kvae train "
            "wrote."
        )
    if config.get("registered_name") != "kvae>VAE":
        raise UserError(
            f"{path} holds a {config.get('class_name', 'nameless object')!s:.60}, not "
            "a kvae.VAE."
        )
    try:
        vae = keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # whatever h5py and Keras raise for damaged bytes
        if not is_damage(error):
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path} is damaged and cannot be loaded ({first[:200]}); restore it from "
            "a backup or train again."
        ) from error
    if bad := bad_variables(vae):
        raise UserError(
            f"{path} holds NaN or infinity in {len(bad)} of its weights, the first in "
            f"{bad[0]}: its training diverged. Train again with a lower learning rate."
        )
    return vae


def _read_config(path: pathlib.Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = {info.filename for info in infos}
            if names != _MEMBERS or len(infos) != len(_MEMBERS):
                raise UserError(
                    f"{path} is not a file that kvae train wrote: it should hold "
                    f"{', '.join(sorted(_MEMBERS))} and holds "
                    f"{', '.join(sorted(names))[:200] or 'nothing'}."
                )
            if sum(info.file_size for info in infos) > _LARGEST:
                raise UserError(
                    f"{path} would unpack to more than {_LARGEST >> 30} GiB; it is not "
                    "loaded."
                )
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                raise UserError(
                    f"{path} is not a file that kvae train wrote: its config.json is "
                    f"larger than {_LARGEST_CONFIG >> 20} MiB, so it is not loaded."
                )
            if (bad := archive.testzip()) is not None:
                raise UserError(
                    f"{path} is damaged: the checksum of {bad} is wrong; restore it "
                    "from a backup or train again."
                )
            config = json.loads(archive.read("config.json"))
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        if not is_damage(error):
            raise
        raise UserError(
            f"{path} is damaged or not a .keras file ({error}); restore it from a "
            "backup or train again."
        ) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged: its config.json is not JSON.") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is damaged: its config.json doesn't describe a model.")
    return config


def _foreign(config: Any, where: str = "the model") -> list[tuple[str, str]]:
    """Lists the names in a configuration that are not allowed in a kvae model."""
    found: list[tuple[str, str]] = []
    stack = [(config, where)]
    while stack:
        value, where = stack.pop()
        if isinstance(value, list):
            stack += [(item, where) for item in value]
        if not isinstance(value, dict):
            continue
        if "class_name" in value and not _is_ours(value):
            found.append(
                (where, f"{value.get('registered_name') or value['class_name']}")
            )
        stack += [(item, str(key)) for key, item in value.items()]
    return found


def _is_ours(value: dict[str, Any]) -> bool:
    name, module = value["class_name"], value.get("module")
    registered = value.get("registered_name")
    if not isinstance(name, str) or name in _REFUSED:
        return False
    if name == "function":  # an activation of Keras, by name
        chosen = value.get("config")
        known = isinstance(chosen, str) and chosen not in _NO_ACTIVATIONS
        return module == "builtins" and known and chosen in vars(keras.activations)
    if registered not in (None, name):
        if not isinstance(registered, str) or not registered.startswith("kvae>"):
            return False
        part = keras.saving.get_registered_object(registered)
        return getattr(part, "__module__", "").split(".")[0] == "kvae"
    if name in _VALUES and module in (None, "builtins"):
        return True
    if not isinstance(module, str) or module not in _CLASSES:
        return False
    public, kinds = _CLASSES[module]
    cls = vars(public).get(name)  # None for a name with dots
    return isinstance(cls, type) and issubclass(cls, kinds)
