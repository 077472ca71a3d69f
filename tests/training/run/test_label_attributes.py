"""Attributes of labels are found in the pixels that the model is trained on."""

from types import SimpleNamespace

import numpy as np
from support.tiny_models import DATA_SHAPE, tiny_vae

import kvae
from kvae.training import binarize_once
from kvae.training.config.config import Config
from kvae.training.run.label_attributes import label_attributes


def test_gray_pixels_are_drawn_where_training_draws_them():
    vae = tiny_vae()
    x = np.random.default_rng(0).random((20, *DATA_SHAPE)).astype("float32")
    labels = np.arange(20) % 2
    data = SimpleNamespace(train=x, train_labels=labels, label_names=None)
    for binarize, seen in {"none": x, "dynamic": binarize_once(x, 3)}.items():
        config = Config(data="given", binarize=binarize, seed=3)
        found = label_attributes(vae, data, config)
        expected = kvae.attribute_vectors(vae, seen, labels, names=["0", "1"])
        np.testing.assert_array_equal(
            found.apply(x[:2], "1", [1.0]), expected.apply(x[:2], "1", [1.0])
        )
