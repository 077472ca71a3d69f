"""Op by op in place of graphs, for tests that ask for it."""

import warnings
from collections.abc import Iterator

import pytest
import tensorflow as tf


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Runs every function op by op: a few steps end before a graph of them is traced.

    That graphs compute the same is shown in tests/conformance and model/test_arrays.py.
    """
    with warnings.catch_warnings():
        # That `map` of a data set is a graph all the same.
        warnings.filterwarnings("ignore", "Even though the `tf.config.experimental_run")
        tf.config.run_functions_eagerly(True)
        yield
        tf.config.run_functions_eagerly(False)
