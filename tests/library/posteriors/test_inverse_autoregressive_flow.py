"""What is particular to the inverse autoregressive flow."""

import numpy as np
import pytest
import tensorflow as tf
from support.density_laws import normals

from kvae.posteriors import InverseAutoregressiveFlow


def test_a_step_is_the_gated_update_of_the_paper():
    posterior = InverseAutoregressiveFlow(3, num_steps=1, units=(8,), dtype="float64")
    params = posterior(tf.constant(normals(2, 5)))
    u = tf.constant(normals(4, 2, 3))
    move, raw = posterior._steps[0](u, params["context"])
    gate = 1 / (1 + np.exp(-(raw.numpy() + 1.0)))
    z, log_det = posterior.forward(params, u)
    expected = gate * u + (1 - gate) * move
    np.testing.assert_allclose(z[..., ::-1], expected, rtol=1e-12)
    np.testing.assert_allclose(log_det, np.log(gate).sum(-1), rtol=1e-12)


def test_starts_near_the_identity_up_to_the_forget_gate():
    posterior = InverseAutoregressiveFlow(3, num_steps=2, forget_bias=8.0)
    params = posterior(tf.constant(normals(2, 5, dtype="float32")))
    u = tf.constant(normals(4, 2, 3, dtype="float32"))
    np.testing.assert_allclose(posterior.forward(params, u)[0], u, atol=5e-3)


@pytest.mark.parametrize("name", ["num_steps", "context_dim"])
def test_counts_must_be_positive(name):
    with pytest.raises(ValueError, match=f"{name} must be an integer from 1 to"):
        InverseAutoregressiveFlow(3, **{name: 0})
