import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae.networks import mlp
from kvae.objectives import (
    ELBO,
    IWAE,
    MMD,
    RAE,
    Capacity,
    FactorVAE,
    FreeBits,
    Objective,
    Perceptual,
)
from kvae.objectives.wrapper import weighted_mean
from kvae.schedules import LinearWarmup


def nested():
    net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "tanh")])
    rate = FreeBits(ELBO(LinearWarmup(6)))
    correlation = FactorVAE(rate, discriminator=mlp((2,), (4,)))
    return MMD(Perceptual(correlation, net, LinearWarmup(3)), LinearWarmup(4))


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(nested, id="nested"),
        pytest.param(lambda: IWAE(3, "dreg"), id="IWAE"),
    ],
)
def test_one_compiled_step_equals_the_eager_one_but_for_the_noise(
    small_vae, binary, make
):
    """XLA draws other numbers, so the bound agrees only as two draws of it do."""
    steps = []
    for arguments in ({"run_eagerly": True}, {}, {"jit_compile": True}):
        keras.utils.set_random_seed(0)  # the networks that an objective brings along
        vae = small_vae(make(), **arguments)
        steps.append(vae.fit(binary, batch_size=48, verbose=0).history)
        assert int(vae.step) == 1
    eager, graph, xla = steps
    for name, values in eager.items():
        assert graph[name] == pytest.approx(values, rel=1e-4, abs=1e-5), name
    assert xla["elbo"] == pytest.approx(eager["elbo"], rel=0.2)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_wrappers_nest_train_and_save(small_vae, binary, tmp_path):
    vae = small_vae(nested())
    history = vae.fit(binary, batch_size=24, epochs=2, verbose=0).history
    assert {"beta", "mmd", "perceptual", "total_correlation"} <= set(history)
    np.testing.assert_allclose(history["mmd_weight"], [1 / 8, 5 / 8])
    np.testing.assert_allclose(history["perceptual_weight"], [1 / 6, 5 / 6], rtol=1e-6)
    assert all(np.isfinite(values).all() for values in history.values())
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    expected = vae.evaluate(binary, verbose=0, return_dict=True)
    found = loaded.evaluate(binary, verbose=0, return_dict=True)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-4, abs=1e-6), key


def test_rate_is_the_wrapped_objectives(linear_gaussian, x):
    exact, sampled = (
        linear_gaussian.parts(MMD(Capacity(ELBO(kl=kl))), x).rate
        for kl in ("exact", "sampled")
    )
    np.testing.assert_allclose(exact, linear_gaussian.parts(ELBO(), x).rate)
    assert not np.allclose(exact, sampled)


def test_what_tells_the_best_epoch_is_the_wrapped_objectives():
    plain = FreeBits(ELBO())
    assert (plain.monitor, plain.monitor_mode) == ("elbo", "max")
    code = MMD(MMD(RAE()))
    assert (code.monitor, code.monitor_mode) == ("loss", "min")
    assert plain.exact_rate
    assert not code.exact_rate
    assert not MMD(ELBO(kl="sampled")).exact_rate


def test_an_objective_that_keeps_its_latents_cannot_be_wrapped(linear_gaussian, x):
    class Silent(Objective):
        def parts(self, model, inputs, noise, training):
            parts = ELBO().parts(model, inputs, noise, training)
            return dataclasses.replace(parts, draw=None)

    with pytest.raises(
        ValueError, match="cannot wrap Silent, which does not return its latents"
    ):
        linear_gaussian.parts(MMD(Silent()), x)


def test_weighted_mean():
    values = tf.constant([[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]])
    weight = tf.constant([3.0, 1.0, 0.0])
    np.testing.assert_allclose(weighted_mean(values, weight), [1.5, 3.0])
    np.testing.assert_allclose(weighted_mean(values[:2], None), [2.0, 4.0])
    np.testing.assert_allclose(weighted_mean(values, tf.zeros(3)), [0.0, 0.0])
