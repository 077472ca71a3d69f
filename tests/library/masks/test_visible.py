import numpy as np
import pytest

from kvae import masks


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5,), (10,)), ((4, 4), (4, 4, 2)), ((4, 4, 3), (4, 4, 6))],
)
def test_the_visible_part_has_its_shape_and_tells_nothing_of_what_is_hidden(
    shape, expected
):
    rng = np.random.default_rng(0)
    mask = (rng.random((7, *shape)) < 0.5).astype("float32")
    x = rng.normal(size=(7, *shape)).astype("float32")
    part = masks.visible_part(x, mask).numpy()
    assert part.shape == (7, *expected)
    assert masks.visible_shape(shape) == expected
    changed = np.where(mask == 1, x, np.nan)
    np.testing.assert_array_equal(masks.visible_part(changed, mask), part)
    assert not np.array_equal(masks.visible_part(x + 1, mask), part)


def test_the_model_is_asked_for_what_is_hidden_and_known():
    x = np.arange(4.0)[None]
    inputs = masks.given_visible(
        x, np.array([[1, 0, 0, 1]]), observed=np.array([[1, 1, 0, 0]])
    )
    np.testing.assert_array_equal(inputs["mask"], [[0, 1, 0, 0]])
    np.testing.assert_array_equal(inputs["condition"], [[0, 0, 0, 0, 1, 0, 0, 0]])


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"mask must have the shape of x, \(2, 3\)"):
        masks.given_visible(np.zeros((2, 3)), np.ones((2, 4)))
