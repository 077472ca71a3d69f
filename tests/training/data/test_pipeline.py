"""The input pipeline: each example once per epoch, new pixels, repeatable."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kvae.noise import Noise
from kvae.training.data.pipeline import binarize_once, steps_per_epoch, training_batches

X = np.arange(10, dtype="float32")[:, None]


def batches(count: int, **arguments: object) -> list[np.ndarray]:
    dataset = training_batches(**{"x": X, "batch_size": 4, "seed": 0} | arguments)
    return [batch.numpy() for batch in itertools.islice(dataset, count)]


def test_each_epoch_holds_each_example_once_in_a_new_order() -> None:
    epochs = [np.concatenate(batches(9)[i : i + 3]).ravel() for i in (0, 3, 6)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), X.ravel())
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])


def test_the_last_batch_is_what_is_left() -> None:
    assert [len(batch) for batch in batches(4)] == [4, 4, 2, 4]
    assert steps_per_epoch(10, 4) == 3
    assert [len(batch) for batch in batches(2, batch_size=10)] == [10, 10]
    assert [len(batch) for batch in batches(2, batch_size=50)] == [10, 10]


@pytest.mark.parametrize(("size", "known"), [(5, 5), (4, None), (50, None)])
def test_a_batch_size_that_is_always_the_same_is_known(size, known) -> None:
    labels = np.arange(10)
    found = training_batches(X, size, 0, condition=labels).element_spec
    assert (found["x"].shape, found["condition"].shape) == ((known, 1), (known,))


def test_an_order_is_as_likely_to_put_any_row_first() -> None:
    """Chi-square of the first row over 2000 epochs; 9 degrees of freedom, p = 1e-4."""
    first = np.array([b[0, 0] for b in batches(6000)[::3]])
    counts = np.bincount(first.astype(int), minlength=10)
    assert ((counts - 200.0) ** 2 / 200.0).sum() < 33.7


def test_a_seed_repeats_and_another_differs() -> None:
    gray = np.full((10, 5), 0.5, "float32")
    kwargs = {"x": gray, "binarize": True}
    first, again = batches(6, **kwargs), batches(6, **kwargs)
    other = batches(6, **kwargs, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_run_continues_where_it_stopped() -> None:
    gray = np.full((10, 5), 0.5, "float32")
    through = batches(9, x=gray, binarize=True)
    resumed = batches(3, x=gray, binarize=True, first_epoch=2)
    for a, b in zip(through[6:], resumed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_pixels_are_drawn_anew_with_their_probability() -> None:
    probability = np.array([[0.0, 0.1, 0.5, 0.9, 1.0]], "float32")
    drawn = np.concatenate(batches(4000, x=probability, batch_size=1, binarize=True))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    error = np.sqrt(probability * (1 - probability) / len(drawn))
    assert (np.abs(drawn.mean(0) - probability) <= 5 * error).all()
    changes = np.mean(drawn[1:, 2] != drawn[:-1, 2])
    assert changes == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(4000))


def test_pixels_are_independent_of_the_latents_of_the_same_step() -> None:
    """A model with the run's seed draws its latents under the key [seed, step].

    Out of one key they would be the same random bits: |noise|^2 of a pair of entries is
    -2 log of the uniform number that decides the pixel of the first.
    """
    gray = np.full((64, 32), 0.5, "float32")
    pixels, squares = [], []
    for step, batch in enumerate(batches(100, x=gray, batch_size=64, binarize=True)):
        noise = Noise(tf.constant([0, step])).normal(1, 64, 32).numpy().ravel()
        squares.append(np.square(noise[::2]) + np.square(noise[1::2]))
        pixels.append(batch.ravel()[::2])
    correlation = np.corrcoef(np.concatenate(squares), np.concatenate(pixels))[0, 1]
    assert abs(correlation) < 5 / np.sqrt(100 * 1024)


def test_the_test_set_is_binarized_once_for_all() -> None:
    x = np.full((2000, 1), 0.3, "float32")
    drawn = binarize_once(x)
    np.testing.assert_array_equal(drawn, binarize_once(x))
    assert drawn.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / 2000))
