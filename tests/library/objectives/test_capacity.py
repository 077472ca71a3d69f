import numpy as np
import pytest

from kvae.objectives import ELBO, BetaTC, Capacity
from kvae.schedules import LinearWarmup

pytestmark = pytest.mark.usefixtures("eagerly")


def test_kl_term_is_the_distance_from_the_capacity(linear_gaussian, x):
    rate = linear_gaussian.parts(ELBO(), x).rate.numpy()
    nats = float(np.median(rate))  # some examples are above it, some below
    parts = linear_gaussian.parts(Capacity(ELBO(beta=1000.0), nats), x)
    np.testing.assert_allclose(parts.kl_term, 1000 * abs(rate - nats), rtol=1e-10)
    np.testing.assert_allclose(parts.rate, rate, rtol=1e-12)


def test_capacity_grows_inside_a_fit(small_vae, binary):
    vae = small_vae(Capacity(ELBO(beta=10.0), LinearWarmup(8, end=4.0)))
    history = vae.fit(binary, batch_size=24, epochs=3, verbose=0).history
    np.testing.assert_allclose(history["nats"], [0.25, 1.25, 2.25])


def test_capacity_can_be_assigned():
    objective = Capacity(nats=3.0)
    objective.nats = 5.0
    assert float(objective.nats) == 5.0


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="nats >= 0, or a schedule.*received -1"):
        Capacity(nats=-1)
    with pytest.raises(TypeError, match="received BetaTC. Wrap"):
        Capacity(BetaTC(10))
