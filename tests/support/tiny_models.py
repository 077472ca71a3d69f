"""Tiny models that tests train for a few steps."""

from __future__ import annotations

import numpy as np

import kvae
from kvae.networks import mlp

DIM = 3
DATA_SHAPE = (4,)


def pixels(num=32, seed=0):
    """(num, 4) zeros and ones, of two kinds."""
    rng = np.random.default_rng(seed)
    prototypes = np.array([[0.9, 0.8, 0.1, 0.2], [0.1, 0.3, 0.9, 0.7]])
    kind = rng.integers(0, 2, num)
    return (rng.random((num, 4)) < prototypes[kind]).astype("float32")


def labels(num=32):
    """(num, 2) one-hot, alternating."""
    return np.eye(2, dtype="float32")[np.arange(num) % 2]


def tiny_vae(posterior=None, prior=None, objective=None, condition=False, **options):
    """A dense VAE of four pixels and three latents, with the sampled KL by default."""
    shape = (2,) if condition else None
    return kvae.VAE(
        mlp(DATA_SHAPE, (8,), "tanh", condition_shape=shape),
        mlp((DIM,), (8,), "tanh", condition_shape=shape, role="decoder"),
        kvae.posteriors.DiagonalNormal(DIM) if posterior is None else posterior,
        kvae.likelihoods.Bernoulli(DATA_SHAPE),
        prior=prior,
        objective=kvae.objectives.ELBO(kl="sampled")
        if objective is None
        else objective,
        seed=0,
        **options,
    )
