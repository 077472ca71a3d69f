"""Flowers as a data source."""

import numpy as np

from kvae.datasets import make_flowers
from kvae.training.data.sources import load_data


def test_flowers_are_scaled_split_and_labeled_by_their_petals() -> None:
    data = load_data("flowers", validation=0.1)
    assert data.label_names == tuple(f"{n} petals" for n in range(4, 9))
    x, factors = make_flowers(3000)
    table = {
        picture.tobytes(): int(petals)
        for picture, petals in zip(x, factors[:, 0], strict=True)
    }
    assert len(table) == 3000
    parts = (data.train, data.validation, data.test)
    assert sum(map(len, parts)) == 3000
    for part, labels in zip(
        parts,
        (data.train_labels, data.validation_labels, data.test_labels),
        strict=True,
    ):
        assert labels is not None
        pictures = np.round(np.asarray(part) * 255).astype("uint8")
        assert [table[p.tobytes()] - 4 for p in pictures] == labels.tolist()
