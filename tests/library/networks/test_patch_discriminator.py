import numpy as np
import pytest
import tensorflow as tf

from kvae.networks import patch_discriminator


@pytest.mark.parametrize("halvings", [1, 2, 3])
def test_a_logit_sees_a_patch_of_the_size_that_is_documented(halvings):
    network = patch_discriminator((96, 96, 1), (4,) * halvings, False)
    x = tf.constant(np.random.default_rng(0).random((1, 96, 96, 1), "float32"))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        logits = network(x)
        middle = logits.shape[1] // 2
        one, below = logits[0, middle, middle, 0], logits[0, middle + 1, middle, 0]
    rows, columns = np.nonzero(tape.gradient(one, x)[0, :, :, 0].numpy())
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == 5 * 2**halvings - 2
    further = np.nonzero(tape.gradient(below, x)[0, :, :, 0].numpy())[0]
    assert further.min() - rows.min() == 2**halvings


@pytest.mark.parametrize(
    ("shape", "grid", "patch"),
    [
        ((8, 8, 1), 4, 8),
        ((16, 16), 8, 8),
        ((28, 28, 1), 7, 18),
        ((32, 32, 3), 8, 18),
        ((64, 64, 3), 8, 38),
        ((128, 128, 3), 8, 78),
        ((256, 256, 3), 16, 78),
    ],
)
def test_the_default_patch_grows_with_the_picture(shape, grid, patch):
    network = patch_discriminator(shape)
    assert network.output_shape == (None, grid, grid, 1)
    convolutions = [layer for layer in network.layers if hasattr(layer, "layer")]
    assert 5 * 2 ** (len(convolutions) - 1) - 2 == patch
    assert network.count_params() < 1e6


def test_training_bounds_the_largest_singular_value_of_each_kernel():
    network = patch_discriminator((9, 7, 2), (5, 6))
    x = np.random.default_rng(0).random((3, 9, 7, 2), "float32")
    for weight in network.trainable_weights:
        weight.assign(3 * np.random.default_rng(1).normal(size=weight.shape))

    def largest():
        kernels = [w.numpy() for w in network.trainable_weights if len(w.shape) == 4]
        return [
            np.linalg.svd(k.reshape(-1, k.shape[-1]), compute_uv=False)[0]
            for k in kernels
        ]

    before = largest()
    assert min(before) > 3
    network(x)  # evaluation changes nothing
    assert largest() == before
    for _ in range(60):
        network(x, training=True)
    np.testing.assert_allclose(largest(), np.ones(3), rtol=1e-2)


def test_a_picture_is_judged_alone():
    network = patch_discriminator((16, 16, 3))
    x = np.random.default_rng(0).random((4, 16, 16, 3), "float32")
    together = network(x, training=False).numpy()
    alone = network(x[2:3], training=False).numpy()
    np.testing.assert_allclose(together[2:3], alone, atol=1e-6)
    assert np.abs(together[0] - together[2]).max() > 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((12,),), r"expects data_shape .*received \(12,\)\. Use networks.mlp"),
        (((8, 8, 0),), "expects data_shape"),
        (((8, 8, 1), ()), "filters must be a tuple of integers from 1 to 1048576"),
        (((8, 8, 1), (4, 2.5)), "filters must be a tuple of integers"),
    ],
)
def test_wrong_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        patch_discriminator(*arguments)
