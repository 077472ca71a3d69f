"""What is particular to the Sylvester flow."""

import numpy as np
import pytest
import tensorflow as tf
from support.density_laws import normals, randomize

from kvae.posteriors import SylvesterFlow


def test_parameters_keep_every_step_invertible_however_large_the_features():
    posterior = SylvesterFlow(4, num_steps=3, num_reflections=2, dtype="float64")
    posterior.build((None, 5))
    randomize(posterior)
    params = posterior(tf.constant(1e3 * normals(6, 5)))
    diagonals = [np.diagonal(params[name], axis1=-2, axis2=-1) for name in ("r", "s")]
    assert (diagonals[0] * diagonals[1]).min() > -1.0
    for name in ("r", "s"):
        assert (np.tril(params[name], -1) == 0).all()
    gram = np.swapaxes(params["q"], -1, -2) @ params["q"]
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(4), gram.shape), atol=1e-12)
    z, log_prob = posterior.sample_and_log_prob(params, tf.constant(normals(2, 6, 4)))
    assert np.isfinite(z).all()
    assert np.isfinite(log_prob).all()


def test_starts_near_the_identity():
    posterior = SylvesterFlow(4)
    params = posterior(tf.constant(normals(2, 5, dtype="float32")))
    u = tf.constant(normals(3, 2, 4, dtype="float32"))
    z, log_det = posterior.forward(params, u)
    assert np.abs(z - u).max() < 1.0
    assert np.abs(log_det).max() < 1.0


def test_arguments_out_of_range_are_refused():
    with pytest.raises(
        ValueError, match="num_steps must be an integer from 1 to 1024; received 0"
    ):
        SylvesterFlow(3, num_steps=0)
    with pytest.raises(ValueError, match="an integer from 0 to 1024; received -1"):
        SylvesterFlow(3, num_reflections=-1)
