"""Whatever a public callable is given, it answers, or refuses in words.

Hypothesis spoils one or two arguments of a good call. The answer may be a ValueError,
TypeError, ImportError or OSError with a message; not an AttributeError, IndexError or
KeyError from within, an error of TensorFlow's graph, or an exhausted memory.
"""

from __future__ import annotations

import collections
import functools
import inspect
import os
import pathlib
import re
import zlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support import small
from support.callables import X, callables
from support.fuzz import SETTINGS

import kvae

WORDS = (ValueError, TypeError, ImportError, OSError)
INTERNAL = re.compile(
    r"has no attribute|not subscriptable|not callable|is not iterable|function_node|"
    r"unsupported operand|not supported between|has no len\(\)|unpack|NodeDef"
)
"""What messages say that come from within."""

READS_A_RUN = ("kvae.training.open_run", "kvae.training.load_model_file")
"""And there is none."""

FRESH = ("VAE.fit", "VAE.compile", "VAE.with_prior", "kvae.fit_prior")
"""They change the model, or its parts."""


class Odd:
    """An object that no function knows."""

    def __repr__(self) -> str:
        return "Odd()"


def objects() -> np.ndarray:
    mixed = np.empty(3, object)
    mixed[:] = [1, "a", None]
    return mixed


HOSTILE: list[Any] = [
    None, [], (), {}, "", "x", "a" * 300, "\x1b[31m", "\0", b"x", float("nan"),
    float("inf"), -1, 0, -0.5, 2**31 - 1, 2**31, 2**64, 10**400, -(2**63), 1j, Odd(),
    object, (2**31 - 1,), (2**31 - 1, 2**31 - 1), (0,), (-1, 2), (None, 3), ("a",),
    [3, 3, 3, 3, 3], [[1.0], [1.0, 2.0]], [1, [2, 3]], {"x": None}, {"a": 1},
    {"x": X, "y": X}, {"x": X, "condition": np.zeros(40)}, {1, 2}, range(3),
    objects(), np.zeros(0), np.zeros((0, 6), "float32"), np.zeros((3, 7), "float32"),
    np.zeros((2, 3, 4, 5)), np.array(3.0), np.full((4, 6), np.nan, "float32"),
    np.array(["a", "b"]), np.zeros((4, 6), "complex64"), np.float32("nan"),
    np.int64(2**40), np.ma.masked_all((4, 6)), np.datetime64("2020-01-01"),
    pathlib.Path("none"), tf.zeros((3, 6)), tf.constant("a"), tf.data.Dataset.range(3),
]  # fmt: skip

anything = st.one_of(
    st.sampled_from(HOSTILE),
    st.sampled_from(HOSTILE),
    st.text(max_size=5),
    st.floats(),
    st.integers(max_value=0),
    st.integers(min_value=2**31),
    arrays.arrays(
        st.sampled_from(["float32", "int64", "bool", "complex64"]),
        arrays.array_shapes(min_dims=0, max_dims=3, max_side=6),
    ),
    st.recursive(
        st.sampled_from([None, 0, "a", 1.5]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["x", "mask", "name", "kind"]), inner, max_size=2
        ),
        max_leaves=5,
    ),
)  # fmt: skip


@functools.cache
def vae() -> kvae.VAE:
    model = small.vae()
    model.fit(X, epochs=1, verbose=0)
    return model


@functools.cache
def calls() -> list[tuple[str, Any, dict[str, Any]]]:
    return list(callables(vae()))


@st.composite
def spoiled(draw: st.DrawFn, call: Any, good: dict[str, Any]) -> dict[str, Any]:
    """Arguments of which one or two are hostile."""
    names = [
        p.name
        for p in inspect.signature(call).parameters.values()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    if not names:
        return good
    bad = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    return {**good, **{key: draw(anything) for key in bad}}


def faults(
    name: str, call: Any, good: dict[str, Any], max_examples: int
) -> dict[str, str]:
    """What is wrong with the answers of one callable to spoiled arguments, by the call.

    Each callable has a seed of its own, so that a new one changes no other's arguments.
    """
    found: dict[str, str] = {}

    @seed(zlib.crc32(name.encode()))
    @settings(max_examples=max_examples, **SETTINGS)
    @given(spoiled(call, good))
    def check(arguments: dict[str, Any]) -> None:
        if said := answer(name, call, arguments):
            found[f"{name}({arguments!r:.2000})"] = said

    check()
    return found


def answer(name: str, call: Any, arguments: dict[str, Any]) -> str:
    """What is wrong with the answer to a call; "" if nothing is."""
    if name in FRESH:
        model = small.vae()
        if name.startswith("VAE."):
            call = getattr(model, name[4:])
        elif arguments.get("vae") is vae():
            arguments = {**arguments, "vae": model}
    try:
        call(**arguments)
    except WORDS as error:
        if not str(error):
            return f"{type(error).__name__} without a message"
        if INTERNAL.search(str(error)):
            return f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.fixture(scope="module", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Where a path that is taken may be written; and without Keras' progress."""
    before, here = pathlib.Path.cwd(), tmp_path_factory.mktemp("any")
    os.chdir(here)
    keras.config.disable_interactive_logging()
    yield
    keras.config.enable_interactive_logging()
    os.chdir(before)


@pytest.mark.filterwarnings("ignore")
def test_some_spoiled_calls() -> None:
    found = [faults(*call, max_examples=2) for call in calls()[::10]]
    assert dict(collections.ChainMap(*found)) == {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_many_spoiled_calls() -> None:
    found = [faults(*call, max_examples=4) for call in calls()]
    assert dict(collections.ChainMap(*found)) == {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_good_calls_are_good() -> None:
    """What Hypothesis spoils is good before, so that a refusal is about what it spoiled.

    A new callable may need an entry in tests/support/callables.py.
    """
    refused = {
        name: said
        for name, call, good in calls()
        if name not in READS_A_RUN and (said := _raised(name, call, good))
    }
    assert refused == {}


def _raised(name: str, call: Any, arguments: dict[str, Any]) -> str:
    try:
        answer(name, call, arguments) if name in FRESH else call(**arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
