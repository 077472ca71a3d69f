import pytest

from kvae.maths import maths_dtype


@pytest.mark.parametrize(
    ("compute", "maths"),
    [
        ("float16", "float32"),
        ("bfloat16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_densities_are_never_computed_below_float32(compute, maths):
    assert maths_dtype(compute) == maths
