import numpy as np
import pytest
import tensorflow as tf

from kvae.likelihoods import Columns
from kvae.networks import ColumnFeatures


def test_numbers_are_standardized_and_levels_are_one_hot() -> None:
    layer = ColumnFeatures([0, 3, 0], log1p=[False, False, True])
    x = np.array([[10.0, 0, 0], [30.0, 2, np.e - 1], [20.0, 1, 0], [20.0, -1, 0]])
    layer.build((None, 3))
    layer.standardize.adapt(np.nan_to_num(x, nan=0.0))
    found = layer(tf.constant(x, tf.float32)).numpy()
    logs = np.log1p(x[:, 2])
    np.testing.assert_allclose(found[:, 0], (x[:, 0] - 20) / x[:, 0].std(), rtol=1e-5)
    np.testing.assert_array_equal(
        found[:, 1:4], [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]]
    )
    np.testing.assert_allclose(
        found[:, 4], (logs - logs.mean()) / logs.std(), rtol=1e-5
    )
    again = ColumnFeatures.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.compute_output_shape((None, 3)) == (None, 5)


@pytest.mark.parametrize("levels", [3, 900])
def test_a_missing_level_is_not_the_first_one(levels: int) -> None:
    part = Columns(
        [
            {"name": "job", "kind": "categorical", "levels": levels},
            {"name": "age", "kind": "real"},
        ]
    )
    np.testing.assert_array_equal(part.neutral, [-1, 0])
    layer = part.preprocessing()
    assert not layer(part.neutral[None]).numpy()[:, :levels].any()
    first = layer(tf.zeros((1, 2))).numpy()
    assert first[0, 0] == 1
    assert first.sum() == 1
