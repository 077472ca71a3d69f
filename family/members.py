"""The models of the family, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvae.core.errors import UserError, nearest
from kvae.family.autoencoder import Autoencoder
from kvae.family.base import Member
from kvae.family.contractive import Contractive
from kvae.family.denoising import Denoising
from kvae.family.gan import GAN
from kvae.family.gsn import GSN
from kvae.family.ladder import LadderNetwork
from kvae.family.linear import FactorAnalysis, ProbabilisticPCA
from kvae.family.rbm import RBM
from kvae.family.sparse import KLSparse, KSparse
from kvae.family.sum_product import SumProductNetwork
from kvae.family.vae import VariationalAutoencoder


def _denoising(**arguments: Any) -> Member:
    return Autoencoder(Denoising(), **arguments)


def _kl_sparse(**arguments: Any) -> Member:
    return Autoencoder(KLSparse(), **{"code_size": 64, **arguments})


def _k_sparse(**arguments: Any) -> Member:
    return Autoencoder(KSparse(), **{"code_size": 64, **arguments})


def _contractive(**arguments: Any) -> Member:
    return Autoencoder(Contractive(), **{"code_size": 32, **arguments})


def _cd(**arguments: Any) -> Member:
    return RBM(persistent=False, **arguments)


def _conditional(**arguments: Any) -> Member:
    return VariationalAutoencoder(conditional=True, **arguments)


MEMBERS: dict[str, Callable[..., Member]] = {
    "pca": ProbabilisticPCA,
    "factor_analysis": FactorAnalysis,
    "autoencoder": Autoencoder,
    "denoising_autoencoder": _denoising,
    "sparse_autoencoder": _kl_sparse,
    "k_sparse_autoencoder": _k_sparse,
    "contractive_autoencoder": _contractive,
    "rbm": RBM,
    "rbm_cd": _cd,
    "gsn": GSN,
    "gan": GAN,
    "sum_product_network": SumProductNetwork,
    "ladder_network": LadderNetwork,
    "vae": VariationalAutoencoder,
    "conditional_vae": _conditional,
}
"""What makes each model; each takes the arguments of its class."""


def make(name: str, **arguments: Any) -> Member:
    """Makes a model of the family.

    Args:
        name: a key of `MEMBERS`.
        **arguments: of its class, such as `num_steps` and `seed`.

    Raises:
        UserError: for an unknown name, with the nearest.
    """
    if name not in MEMBERS:
        raise UserError(f"there is no model {name!r}. {nearest(str(name), MEMBERS)}")
    return MEMBERS[name](**arguments)
