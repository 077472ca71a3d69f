"""The bundled digits."""

import numpy as np
from sklearn.datasets import load_digits

from kvae.training.data.sources import load_data


def test_the_digits_are_scaled_split_and_labeled() -> None:
    data = load_data("digits", validation=0.1)
    parts = (data.train, data.validation, data.test)
    assert [len(part) for part in parts] == [1294, 144, 359]
    bundled = load_digits()
    labels = (data.train_labels, data.validation_labels, data.test_labels)
    table = {
        tuple(image.ravel() / 16): label
        for image, label in zip(bundled.images, bundled.target, strict=True)
    }
    for part, known in zip(parts, labels, strict=True):
        assert known is not None
        assert [table[tuple(x.ravel().tolist())] for x in part] == known.tolist()


def test_the_test_set_does_not_depend_on_the_validation_set() -> None:
    a, b = load_data("digits", validation=0), load_data("digits", validation=300)
    np.testing.assert_array_equal(a.test, b.test)
    assert (len(a.validation), len(b.validation)) == (0, 300)
    kept = np.concatenate([b.train, b.validation]).reshape(len(a.train), -1)
    whole = a.train.reshape(len(a.train), -1)
    np.testing.assert_array_equal(np.unique(kept, axis=0), np.unique(whole, axis=0))
