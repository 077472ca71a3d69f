"""Reading a .keras file that may be damaged, or made to do harm."""

from __future__ import annotations

import json
import pathlib
import zipfile
from typing import Any

import keras

from kvae.core.errors import UserError, is_damage

_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
_LARGEST = 16 << 30  # bytes a file may unpack to
_MODULES = (
    "keras",
    "keras.activations",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.layers",
    "keras.models",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.regularizers",
    "keras.src.models.functional",
    "keras.src.models.sequential",
)
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


def load_model_file(path: pathlib.Path) -> Any:
    """Loads a model that `kvae train` wrote.

    Before Keras sees the file, every class it names is compared with what a kvae model
    is made of: Keras' own layers and the parts of kvae. Nothing is unpickled, and
    Keras' safe mode stays on.

    Args:
        path: of the .keras file.

    Returns:
        vae: the `kvae.VAE`.

    Raises:
        UserError: if the file is missing, damaged, or holds anything else.
        OSError: if the system refuses to read it.
    """
    if not path.is_file():
        raise UserError(f"there is no model file {path}; check the path.")
    config = _read_config(path)
    for where, name in _foreign(config):
        raise UserError(
            f"{path} names {name!r} (in {where}), which is no part of a kvae model and "
            "could run foreign code; it is not loaded. Use only files that kvae train "
            "wrote."
        )
    if config.get("registered_name") != "kvae>VAE":
        raise UserError(
            f"{path} holds a {config.get('class_name', 'nameless object')!s:.60}, not "
            "a kvae.VAE."
        )
    try:
        return keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # whatever h5py and Keras make of damaged bytes
        if not is_damage(error):
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path} is damaged and cannot be loaded ({first[:200]}); restore it from "
            "a backup or train again."
        ) from error


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
            f"{path} is damaged or no .keras file ({error}); restore it from a backup "
            "or train again."
        ) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged: its config.json is no JSON.") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is damaged: its config.json describes no model.")
    return config


def _foreign(config: Any, where: str = "the model") -> list[tuple[str, str]]:
    """Lists whatever a configuration names that no kvae model is made of."""
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
    if name == "function":  # an activation or initialiser of Keras, by name
        return module == "builtins" and isinstance(value.get("config"), str)
    if registered not in (None, name):
        known = keras.saving.get_registered_object(registered)
        return (
            isinstance(registered, str)
            and registered.startswith("kvae>")
            and getattr(known, "__module__", "").split(".")[0] == "kvae"
        )
    if name in _VALUES and module in (None, "builtins"):
        return True
    return module in _MODULES
