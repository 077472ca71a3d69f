import copy
import functools
import pickle

import numpy as np
import pytest

from kvae.core.batches import CompiledFunctions, map_batches
from kvae.core.inputs import Inputs


def double(batch, first, offset=0.0):
    return {"x": 2 * batch["x"] + offset, "first": first + 0 * batch["x"]}


@pytest.mark.parametrize("batch_size", [1, 3, 10, 100])
def test_map_batches_joins_what_it_cut(batch_size):
    x = np.arange(10, dtype="int32")
    found = map_batches(double, Inputs(x), batch_size, np.int32(5))
    np.testing.assert_array_equal(found["x"], 2 * x + 5)
    np.testing.assert_array_equal(found["first"], x // batch_size * batch_size)


def test_map_batches_refuses_an_empty_batch():
    with pytest.raises(ValueError, match="batch_size must be .* 1; received 0"):
        map_batches(double, Inputs(np.arange(3)), 0)


def test_equal_partials_share_a_graph_and_other_ones_do_not():
    functions = CompiledFunctions()
    one = functions.get(functools.partial(double, offset=1.0))
    assert functions.get(functools.partial(double, offset=1.0)) is one
    assert functions.get(functools.partial(double, offset=2.0)) is not one
    assert functions.get(functools.partial(double, offset=1.0), True) is not one


def test_the_last_few_graphs_stay():
    functions = CompiledFunctions()
    first = functions.get(functools.partial(double, offset=0.0))
    second = functools.partial(double, offset=1.0)
    kept = functions.get(second)
    for offset in range(2, 40):
        functions.get(functools.partial(double, offset=float(offset)))
        assert functions.get(second) is kept  # used again, so it stays
    assert functions.get(functools.partial(double, offset=0.0)) is not first
    assert len(functions._functions) == 16


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))]
)
def test_graphs_are_not_copied_along(twin):
    functions = CompiledFunctions()
    one = functions.get(functools.partial(double))
    assert twin(functions).get(functools.partial(double)) is not one
