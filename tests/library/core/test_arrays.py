"""Missing entries of masked arrays and frames, sparse matrices and data sets are read."""

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from kvae.core.arrays import is_arrays, plain_array, read_examples
from kvae.core.inputs import Inputs


class Frame:
    """What a pandas frame offers to whoever does not import pandas."""

    def __init__(self, values, dtypes):
        self.values = np.asarray(values, object)
        self.dtypes = dtypes

    def isna(self):
        return Frame(np.equal(self.values, None), self.dtypes)

    def to_numpy(self, dtype=None, na_value=None):
        if dtype is None:
            return self.values.astype(bool)
        return np.where(np.equal(self.values, None), na_value, self.values).astype(
            dtype
        )

    def __array__(self, dtype=None, copy=None):
        return self.values


def test_masked_entries_are_missing_and_their_values_gone():
    x = np.ma.masked_array([[1.0, 1e4], [2.0, 3.0]], mask=[[0, 1], [0, 0]])
    values, mask = plain_array(x)
    np.testing.assert_array_equal(values, [[1, 0], [2, 3]])
    np.testing.assert_array_equal(mask, [[1, 0], [1, 1]])
    inputs = Inputs.of({"x": x, "mask": np.array([[0, 1], [1, 1]])})
    np.testing.assert_array_equal(inputs.mask, [[0, 0], [1, 1]])  # both masks count
    np.testing.assert_array_equal(
        read_examples(x), [[1, 3], [2, 3]]
    )  # the column's mean


def test_a_frame_s_missing_entries_are_missing():
    frame = Frame([[1.5, None], [2, 3]], {"a": np.dtype("float64")})
    values, mask = plain_array(frame)
    np.testing.assert_array_equal(values, [[1.5, 0], [2, 3]])
    np.testing.assert_array_equal(mask, [[1, 0], [1, 1]])
    text = Frame([[1, "red"]], {"a": np.dtype("int64"), "b": np.dtype("O")})
    with pytest.raises(ValueError, match="in the columns b"):
        plain_array(text)


def test_sparse_ones_become_dense_and_nothing_is_missing():
    dense = np.array([[0.0, 2.0], [3.0, 0.0]])
    for x in (scipy.sparse.csr_matrix(dense), tf.sparse.from_dense(dense)):
        assert is_arrays(x)
        values, mask = plain_array(x)
        np.testing.assert_array_equal(values, dense)
        assert mask is None


def test_a_data_set_of_batches_is_read():
    x = np.arange(12.0).reshape(6, 2)
    pairs = tf.data.Dataset.from_tensor_slices((x, np.arange(6))).batch(4)
    dicts = tf.data.Dataset.from_tensor_slices({"x": x}).batch(4)
    for dataset in (pairs, dicts):
        assert not is_arrays(dataset)
        np.testing.assert_array_equal(read_examples(dataset), x)
    with pytest.raises(ValueError, match="empty"):
        read_examples(pairs.take(0))
