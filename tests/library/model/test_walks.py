"""Interpolation and attribute vectors are those of latents computed by hand."""

import keras
import numpy as np
import pytest
from scipy.spatial import geometric_slerp
from support.tiny_models import labels, tiny_vae

import kvae

X = np.random.default_rng(0).uniform(0.1, 0.9, (12, 4)).astype("float32")


@pytest.fixture(scope="module")
def vae():
    keras.utils.set_random_seed(1)
    model = tiny_vae()
    model.embed(X)
    return model


def decoded(vae, z, condition=None):
    return np.asarray(vae.decode(z.astype("float32"), condition).mean())


def test_a_straight_path_decodes_the_weighted_means_of_the_latents(vae):
    z_a, z_b = vae.embed(X[:1])[0], vae.embed(X[5:6])[0]
    path = kvae.interpolate(vae, X[0], X[5], 5)
    t = np.array([0, 0.25, 0.5, 0.75, 1.0])[:, None]
    np.testing.assert_allclose(path, decoded(vae, z_a + t * (z_b - z_a)), atol=1e-6)
    np.testing.assert_allclose(path[[0, -1]], vae.reconstruct(X[[0, 5]]), atol=1e-6)


def test_an_arc_is_that_of_scipy_between_the_directions(vae):
    path = kvae.interpolate(vae, X[:3], X[3:6], 7, path="spherical")
    assert path.shape == (3, 7, 4)
    for i in range(3):
        z_a, z_b = vae.embed(X[[i, i + 3]]).astype("float64")
        t = np.linspace(0, 1, 7)
        unit_a, unit_b = z_a / np.linalg.norm(z_a), z_b / np.linalg.norm(z_b)
        unit = geometric_slerp(unit_a, unit_b, t)
        # Lengths differ: find the two weights of the unit vectors, and stretch each.
        weights = np.linalg.lstsq(np.stack([unit_a, unit_b], 1), unit.T, rcond=None)[0]
        z = weights.T @ np.stack([z_a, z_b])
        np.testing.assert_allclose(path[i], decoded(vae, z), atol=1e-5)


def test_an_arc_from_a_latent_to_itself_stays_there(vae):
    path = kvae.interpolate(vae, X[0], X[0], 3, path="spherical")
    np.testing.assert_allclose(path, np.repeat(vae.reconstruct(X[:1]), 3, 0), atol=1e-6)


def test_latents_on_a_sphere_stay_on_it():
    vae = tiny_vae(kvae.posteriors.PowerSpherical(3), kvae.priors.UniformSphere(3))
    z_a, z_b = vae.embed(X[:1])[0], vae.embed(X[7:8])[0]
    middle = (z_a + z_b) / np.linalg.norm(z_a + z_b)
    path = kvae.interpolate(vae, X[0], X[7], 3)
    np.testing.assert_allclose(path[1], decoded(vae, middle[None])[0], atol=1e-5)
    with pytest.raises(ValueError, match="on the unit sphere"):
        kvae.attribute_vectors(vae, X, np.arange(12) % 2)


def test_opposite_latents_have_no_shortest_arc():
    # Without biases a network of tanh is odd: -x has the opposite latent.
    vae = kvae.VAE(
        kvae.networks.mlp((4,), (8,), "tanh"),
        kvae.networks.mlp((3,), (8,), "tanh", role="decoder"),
        kvae.posteriors.DiagonalNormal(3),
        kvae.likelihoods.Normal((4,)),
    )
    with pytest.raises(ValueError, match="opposite sides of the origin"):
        kvae.interpolate(vae, X[0] - 0.5, 0.5 - X[0], path="spherical")


def test_a_vector_is_the_difference_of_the_mean_latents(vae):
    classes = np.array(["cat", "dog", "owl"])[np.arange(12) % 3]
    found = kvae.attribute_vectors(vae, X, classes)
    z = vae.embed(X).astype("float64")
    assert found.names == ("cat", "dog", "owl")
    np.testing.assert_array_equal(found.counts, [4, 4, 4])
    for i, name in enumerate(found.names):
        expected = z[classes == name].mean(0) - z[classes != name].mean(0)
        np.testing.assert_allclose(found.vectors[i], expected, atol=1e-6)


def test_strengths_move_the_latent_along_the_vector(vae):
    has = np.stack([np.arange(12) % 2, np.arange(12) < 4], axis=1)
    found = kvae.attribute_vectors(vae, X, has, names=["odd", "early"])
    z = vae.embed(X)
    row = found.apply(X[3], "early", [-1.0, 0.0, 2.0])
    expected = z[3] + np.array([[-1.0], [0.0], [2.0]]) * found.vectors[1]
    np.testing.assert_allclose(row, decoded(vae, expected), atol=1e-6)
    every = found.apply(X, "odd", 0.5)
    np.testing.assert_allclose(
        every, decoded(vae, z + 0.5 * found.vectors[0]), atol=1e-6
    )
    assert found.apply(X[:2], "odd", [0, 1]).shape == (2, 2, 4)
    one = kvae.attribute_vectors(vae, X, has[:, 0], names=["odd"])
    np.testing.assert_allclose(one.vectors[0], found.vectors[0])


def test_conditions_are_given_to_both_networks():
    vae = tiny_vae(condition=True)
    given = labels(12)
    z = vae.embed({"x": X, "condition": given})
    path = kvae.interpolate(vae, X[:2], X[2:4], 3, condition=given[:2])
    middle = decoded(vae, (z[:2] + z[2:4]) / 2, given[:2])
    np.testing.assert_allclose(path[:, 1], middle, atol=1e-6)
    found = kvae.attribute_vectors(vae, X, np.arange(12) < 6, condition=given)
    moved = found.apply(X[4], "True", 1.0, condition=given[4])
    expected = decoded(vae, z[4:5] + found.vectors[1], given[4:5])[0]
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    with pytest.raises(ValueError, match="condition"):
        kvae.interpolate(vae, X[0], X[1])


def test_latents_keep_their_shape():
    x = np.random.default_rng(0).random((6, 16, 16, 3)).astype("float32")
    vae = kvae.VAE.for_data(x, latent_dim=(8, 8, 2))
    found = kvae.attribute_vectors(vae, x, np.arange(6) % 2)
    assert found.vectors.shape == (2, 8, 8, 2)
    path = kvae.interpolate(vae, x[0], x[1], 3)
    assert path.shape == (3, 16, 16, 3)
    middle = decoded(vae, vae.embed(x[:2]).mean(0, keepdims=True))
    np.testing.assert_allclose(path[1], middle[0], atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda v: kvae.interpolate(v, X[0], X[1], 1), "num must be at least 2"),
        (lambda v: kvae.interpolate(v, X[0], X[:2]), r"same shape; .*\(4,\) and \(2, 4\)"),
        (lambda v: kvae.interpolate(v, X[0][:3], X[1]), r"shape \(4,\), .*\(3,\)"),
        (lambda v: kvae.interpolate(v, X[0], X[1], path="arc"), "straight, spherical"),
        (lambda v: kvae.attribute_vectors(v, X, np.zeros(12, int)), "all examples have"),
        (lambda v: kvae.attribute_vectors(v, X, np.arange(3)), "each of the 12 examples"),
        (lambda v: kvae.attribute_vectors(v, X, X * 3), "zeros and ones"),
        (
            lambda v: kvae.attribute_vectors(v, X, X[:, :2] > 0.5, names=["a"]),
            "a name for each of the 2",
        ),
        (
            lambda v: kvae.attribute_vectors(v, X, np.arange(12) % 2).apply(X, "no"),
            "the attributes are 0, 1; received 'no'",
        ),
        (
            lambda v: kvae.attribute_vectors(v, X, np.arange(12) % 2).apply(X, 1, "big"),
            "a number or a list of numbers",
        ),
        (
            lambda v: kvae.attribute_vectors(v, X, np.arange(12) % 2).apply(
                X, 1, np.nan
            ),
            "must be finite",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_a_sentence(vae, wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong(vae)
