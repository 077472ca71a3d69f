"""kvae: variational autoencoders in Keras 3, from the paper to the phone."""

import importlib
from types import ModuleType

from kvae.core import backend as _backend  # noqa: F401  isort: skip  refuses others

from kvae import corruptions as corruptions
from kvae import likelihoods as likelihoods
from kvae import masks as masks
from kvae import maths as maths
from kvae import networks as networks
from kvae import objectives as objectives
from kvae import posteriors as posteriors
from kvae import presets as presets
from kvae import priors as priors
from kvae import schedules as schedules
from kvae import series as series
from kvae import tables as tables
from kvae.model.fit_prior import fit_prior as fit_prior
from kvae.model.vae import VAE as VAE
from kvae.model.walks import AttributeVectors as AttributeVectors
from kvae.model.walks import attribute_vectors as attribute_vectors
from kvae.model.walks import interpolate as interpolate

__version__ = "0.1.0"

# Imported when they are first asked for (PEP 562): training a model needs none of them.
_LAZY = (
    "datasets",
    "detection",
    "evaluation",
    "export",
    "family",
    "reports",
    "training",
    "sklearn",
)


def __getattr__(name: str) -> ModuleType:
    if name in _LAZY:
        return importlib.import_module(f"kvae.{name}")
    raise AttributeError(f"module 'kvae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
