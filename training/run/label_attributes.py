"""The attribute vectors of a run, one for each label of its data."""

from __future__ import annotations

from typing import Any

import numpy as np

import kvae
from kvae.training.config.config import Config
from kvae.training.data.pipeline import binarize_once
from kvae.training.data.sources import ExamplesOnDisk

MOST_LABELS = 40
"""So many fit on a page."""


def names_of_labels(data: Any) -> list[str]:
    """Returns the names of the labels of the training data, or their numbers as text."""
    return list(data.label_names or map(str, np.unique(data.train_labels)))


def label_attributes(
    vae: Any, data: Any, config: Config, most: int | None = None
) -> Any:
    """Finds the direction in the latents in which each label of the data grows.

    Pixels that training draws from probabilities are drawn once.

    Args:
        vae: a trained `kvae.VAE` without a condition, whose latents are in R^D.
        data: of the run, with training labels.
        config: of the run.
        most: examples to look at, drawn at random; None takes all that fit in memory.

    Returns:
        attributes: `kvae.AttributeVectors`, of the labels that occur.
    """
    x, labels = data.train, data.train_labels
    if isinstance(x, ExamplesOnDisk):
        rows = x.sample_rows()
        x, labels = x[rows], labels[rows]
    if most is not None and len(x) > most:
        rows = np.random.default_rng(0).choice(len(x), most, replace=False)
        x, labels = x[rows], labels[rows]
    if config.binarize == "dynamic":
        x = binarize_once(x, config.seed)
    names = names_of_labels(data)
    if data.label_names:
        names = [names[label] for label in np.unique(labels)]
    return kvae.attribute_vectors(vae, x, labels, names=names)
