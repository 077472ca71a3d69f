import keras
import numpy as np
import pytest
import scipy.stats

from kvae.objectives import ELBO
from kvae.schedules import LinearWarmup


def test_exact_and_sampled_rate_agree(linear_gaussian, x):
    copies = np.repeat(x[:1], 5000, axis=0)
    exact = linear_gaussian.parts(ELBO(), copies).rate.numpy()
    sampled = linear_gaussian.parts(ELBO(kl="sampled"), copies).rate.numpy()
    error = sampled.std(ddof=1) / len(copies) ** 0.5
    assert abs(sampled.mean() - exact[0]) < 5 * error
    assert 5 * error < 0.2 * exact[0]


def test_rate_is_the_closed_form(linear_gaussian, x):
    parts = linear_gaussian.parts(ELBO(beta=3.0), x)
    loc, scale = (parts.draw.posterior[k].numpy() for k in ("loc", "scale"))
    expected = 0.5 * (loc**2 + scale**2 - 1 - 2 * np.log(scale)).sum(axis=1)
    np.testing.assert_allclose(parts.rate, expected, rtol=1e-12)
    np.testing.assert_allclose(parts.kl_term, 3 * expected, rtol=1e-12)


def test_distortion_is_minus_the_mean_log_density_of_x_at_the_latents(
    linear_gaussian, x
):
    parts = linear_gaussian.parts(ELBO(num_samples=3), x)
    loc, scale = (parts.draw.likelihood[k].numpy() for k in ("loc", "scale"))
    assert loc.shape == (3, *x.shape)
    each = scipy.stats.norm(loc, scale).logpdf(x).sum(axis=-1)
    np.testing.assert_allclose(parts.distortion, -each.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(parts.data_term, parts.distortion, rtol=1e-12)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_scheduled_beta_moves_inside_a_fit(small_vae, binary, run_eagerly):
    vae = small_vae(ELBO(beta=LinearWarmup(6)), run_eagerly=run_eagerly)
    history = vae.fit(binary, batch_size=24, epochs=4, verbose=0).history
    # Two steps an epoch: 0/6 1/6 | 2/6 3/6 | 4/6 5/6 | 1 1.
    np.testing.assert_allclose(history["beta"], [1 / 12, 5 / 12, 9 / 12, 1], rtol=1e-6)
    for i, beta in enumerate([None, None, None, 1.0]):
        if beta is not None:
            assert history["loss"][i] == pytest.approx(-history["elbo"][i], rel=1e-5)
    assert history["loss"][0] < -history["elbo"][0]


@pytest.mark.usefixtures("eagerly")
def test_any_keras_schedule_will_do(small_vae, binary):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.5, 2.0])
    vae = small_vae(ELBO(beta=schedule))
    history = vae.fit(binary, batch_size=24, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["beta"], [0.5, 2.0])


@pytest.mark.slow
def test_a_number_is_assigned_between_epochs(small_vae, binary):
    vae = small_vae(ELBO())
    vae.fit(binary, verbose=0)
    vae.objective.beta = 0.0
    history = vae.fit(binary, verbose=0).history
    assert history["loss"][0] == pytest.approx(history["distortion"][0], rel=1e-5)
    assert "beta" not in history


@pytest.mark.usefixtures("eagerly")
def test_a_schedule_is_saved_with_the_step_it_stands_at(small_vae, binary, tmp_path):
    vae = small_vae(ELBO(beta=LinearWarmup(6)))
    vae.fit(binary, batch_size=24, epochs=2, verbose=0)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    expected, found = (
        m.fit(binary, batch_size=24, verbose=0, shuffle=False).history
        for m in (vae, loaded)
    )
    assert found["beta"] == [pytest.approx(9 / 12)]
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


def test_a_scheduled_beta_cannot_be_assigned():
    with pytest.raises(ValueError, match="follows the schedule"):
        ELBO(beta=LinearWarmup(6)).beta = 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": -1.0}, "beta >= 0, or a schedule.*received -1.0"),
        ({"beta": "warm"}, "beta >= 0, or a schedule.*received 'warm'"),
        ({"num_samples": 0}, "an integer from 1 to .*received 0"),
        ({"kl": "mc"}, "exact.*received 'mc'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ELBO(**arguments)
