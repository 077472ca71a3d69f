"""Laws that hold for every family, and what each family hides."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae import masks
from kvae.noise import Noise


@keras.saving.register_keras_serializable(package="kvae_tests")
def first_rows(uniforms, data_shape):
    """Hides the rows below a random one."""
    row = tf.range(data_shape[0], dtype=tf.float32) / data_shape[0]
    plane = (row[None, :] <= uniforms)[:, :, None]
    return tf.broadcast_to(plane, (tf.shape(uniforms)[0], *data_shape))


FAMILIES = [
    masks.Half("left"),
    masks.Half("bottom"),
    masks.Rectangle(0.2, 0.6),
    masks.RandomEntries(0.3),
    masks.RandomEntries((0.1, 0.9)),
    masks.OneOf([masks.Half("top"), masks.Rectangle(), masks.RandomEntries()]),
    masks.Stretch((0.2, 0.7), "anywhere"),
    masks.FromFunction(first_rows),
]
EACH = pytest.mark.parametrize(
    "family", FAMILIES, ids=lambda family: type(family).__name__
)


@EACH
@pytest.mark.parametrize("shape", [(6, 4), (5, 7)])
def test_masks_are_zeros_and_ones_in_the_shape_of_the_data(family, shape):
    drawn = family.draw(9, shape, seed=1).numpy()
    assert drawn.shape == (9, *shape)
    assert set(np.unique(drawn)) <= {0.0, 1.0}


@pytest.mark.parametrize("shape", [(2, 2), (28, 28), (1, 3), (4, 1, 3)])
def test_a_rectangle_below_the_whole_leaves_something_visible(shape):
    for sides in ((0.25, 0.75), (0.2, 0.99), (0.99, 0.99)):
        family = masks.Rectangle(*sides)
        drawn = family.draw(3000, shape, seed=1).numpy().reshape(3000, -1)
        assert drawn.any(axis=1).all()
        assert not drawn.all(axis=1).any()
    assert not masks.Rectangle(1.0, 1.0).draw(1, shape).numpy().any()


@pytest.mark.parametrize("shape", [(7,), (3, 4), (3, 4, 2), (2, 3, 4, 5)])
def test_random_entries_suit_any_shape(shape):
    drawn = masks.RandomEntries(0.3).draw(4000, shape, seed=2).numpy()
    assert drawn.shape == (4000, *shape)
    places = drawn if len(shape) < 3 else drawn[..., 0]
    if len(shape) > 2:
        assert (drawn == drawn[..., :1]).all()
    rates = 1 - places.mean(axis=0)
    assert np.abs(rates - 0.3).max() < 5 * np.sqrt(0.21 / 4000)
    flat = places.reshape(4000, -1)
    assert np.abs(np.corrcoef(flat[:, 0], flat[:, -1])[0, 1]) < 5 / np.sqrt(4000)


@pytest.mark.parametrize("seed", [0.5, -1, "a"])
def test_seeds_are_checked(seed):
    with pytest.raises(ValueError, match="seed must be an integer from 0"):
        masks.Half("left").draw(2, (4, 4), seed=seed)


@EACH
def test_a_mask_depends_on_the_seed_and_its_position_alone(family):
    whole = family.draw(20, (8, 8), seed=3).numpy()
    rest = family.draw(13, (8, 8), seed=3, first=7).numpy()
    np.testing.assert_array_equal(whole[7:], rest)


@EACH
def test_another_seed_gives_other_masks_unless_there_is_one_alone(family):
    one, other = (family.draw(50, (8, 8), seed=s).numpy() for s in (0, 1))
    fixed = isinstance(family, masks.Half)
    assert np.array_equal(one, other) == fixed


@EACH
def test_it_works_inside_a_data_pipeline(family):
    pipeline = tf.data.Dataset.range(3).map(
        lambda step: family.draw(4, (8, 8), seed=(5, step))
    )
    batches = [batch.numpy() for batch in pipeline]
    again = [batch.numpy() for batch in pipeline]
    np.testing.assert_array_equal(batches, again)
    np.testing.assert_array_equal(batches[2], family.draw(4, (8, 8), seed=(5, 2)))


@EACH
def test_it_works_inside_a_training_graph_with_a_fresh_mask_each_step(family):
    @tf.function
    def step(number):
        return family.draw_from(Noise(tf.stack([0, number])), 30, (8, 8))

    one, other = (step(tf.constant(n)).numpy() for n in (0, 1))
    assert np.array_equal(one, other) == isinstance(family, masks.Half)


@EACH
def test_it_comes_back_from_its_config(family):
    config = keras.saving.serialize_keras_object(family)
    loaded = keras.saving.deserialize_keras_object(config)
    assert loaded == family
    np.testing.assert_array_equal(loaded.draw(5, (8, 8)), family.draw(5, (8, 8)))


@pytest.mark.parametrize(
    ("hidden", "where"),
    [
        ("left", np.s_[:, :2]),
        ("right", np.s_[:, 3:]),
        ("top", np.s_[:3]),
        ("bottom", np.s_[3:]),
    ],
)
def test_a_half_hides_the_side_it_is_named_after(hidden, where):
    drawn = masks.Half(hidden).draw(1, (6, 5)).numpy()[0]
    expected = np.ones((6, 5))
    expected[where] = 0
    np.testing.assert_array_equal(drawn, expected)


def test_rectangles_have_their_sides_in_bounds_and_reach_every_pixel():
    hidden = 1 - masks.Rectangle(0.25, 0.5).draw(3000, (8, 12)).numpy()
    heights = hidden.any(axis=2).sum(axis=1)
    widths = hidden.any(axis=1).sum(axis=1)
    assert (set(heights), set(widths)) == ({2, 3, 4}, {3, 4, 5, 6})
    np.testing.assert_array_equal(hidden.sum(axis=(1, 2)), heights * widths)
    assert (hidden.mean(axis=0) > 0).all()


def test_random_entries_are_hidden_at_their_rate():
    visible = masks.RandomEntries(0.3).draw(4000, (10,)).numpy()
    error = np.sqrt(0.3 * 0.7 / visible.size)
    assert abs(visible.mean() - 0.7) < 5 * error
    # Entries are hidden on their own: the variance of a row's count is binomial.
    variance = visible.sum(axis=1).var()
    assert abs(variance / (10 * 0.21) - 1) < 5 * np.sqrt(2 / 4000)


def test_a_range_of_rates_gives_each_example_its_own():
    visible = masks.RandomEntries((0.0, 1.0)).draw(4000, (400,)).numpy()
    shares = visible.mean(axis=1)
    assert abs(shares.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 4000)
    assert abs(shares.var() - 1 / 12) < 0.005


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_the_ends_of_the_rate_hide_nothing_and_everything(rate):
    assert (masks.RandomEntries(rate).draw(50, (20,)).numpy() == 1 - rate).all()


def test_channels_are_hidden_together():
    for family in (masks.RandomEntries(), masks.Rectangle(), masks.Half()):
        drawn = family.draw(6, (8, 8, 3)).numpy()
        np.testing.assert_array_equal(drawn, drawn[..., :1].repeat(3, axis=-1))


def test_one_of_takes_each_family_equally_often():
    family = masks.OneOf([masks.Half("left"), masks.Half("top")])
    left = family.draw(4000, (4, 4)).numpy()[:, 3, 0]
    assert abs(left.mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: masks.Half("lft"), "Half hides one of .* received 'lft'"),
        (lambda: masks.Rectangle(0.5, 0.2), "0 < least <= most <= 1"),
        (lambda: masks.RandomEntries(1.5), r"rate in \[0, 1\].*received 1.5"),
        (lambda: masks.OneOf([]), "at least one family"),
        (lambda: masks.Half().draw(2, (5,)), "Half hides parts of images"),
        (lambda: masks.Rectangle().draw(2, (5,)), "Rectangle hides parts of images"),
        (
            lambda: masks.FromFunction(lambda u, s: u).draw(2, (5, 5)),
            "must return the shape .* received",
        ),
        (lambda: masks.FromFunction(first_rows, -1), "uniforms to be at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("spec", "family"),
    [
        ("left_half", masks.Half("left")),
        ("bottom-half", masks.Half("bottom")),
        ("random", masks.RandomEntries()),
        ({"name": "random", "rate": 0.2}, masks.RandomEntries(0.2)),
        (masks.Rectangle(), masks.Rectangle()),
        (first_rows, masks.FromFunction(first_rows)),
    ],
)
def test_names_become_families(spec, family):
    assert masks.as_family(spec) == family


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lefthalf", "one of left_half, .* received 'lefthalf'"),
        ({"rate": 0.3}, "received {'rate': 0.3}"),
        ({"name": "random", "rat": 0.3}, "do not take .'rat'"),
        (3, "received 3"),
    ],
)
def test_unknown_names_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        masks.as_family(spec)


def test_the_future_is_the_end_of_every_feature():
    drawn = masks.as_family("future").draw(3, (8, 2)).numpy()
    expected = np.repeat([1.0] * 6 + [0.0] * 2, 2).reshape(8, 2)
    np.testing.assert_array_equal(drawn, np.broadcast_to(expected, (3, 8, 2)))
    assert masks.Stretch(0.01).draw(1, (4,)).numpy().tolist() == [[1, 1, 1, 0]]
    assert masks.Stretch(0.99).draw(1, (4,)).numpy().tolist() == [[1, 0, 0, 0]]


def test_stretches_are_consecutive_and_everywhere_alike():
    drawn = masks.as_family("stretch").draw(4000, (8,), seed=1).numpy()
    assert (drawn.sum(axis=1) == 6).all()
    assert (np.abs(np.diff(drawn, axis=1)).sum(axis=1) <= 2).all()
    starts = np.argmin(drawn, axis=1)
    shares = np.bincount(starts, minlength=7) / 4000
    assert np.abs(shares - 1 / 7).max() < 5 * np.sqrt(6 / 49 / 4000)
    lengths = 10 - masks.Stretch((0.2, 0.6)).draw(4000, (10,)).numpy().sum(axis=1)
    assert set(lengths) == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("share", [0, 1, (0.6, 0.2), "half", None])
def test_wrong_stretches_are_refused(share):
    with pytest.raises(ValueError, match="Stretch expects share"):
        masks.Stretch(share)
    with pytest.raises(ValueError, match="Stretch expects place"):
        masks.Stretch(0.5, "start")
    with pytest.raises(ValueError, match="hides steps of series"):
        masks.Stretch().draw(1, (4, 4, 1))
