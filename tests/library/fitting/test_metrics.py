import keras
import numpy as np

import kvae
from kvae.fitting.metrics import ActiveUnits


def means():
    rng = np.random.default_rng(0)
    return rng.normal(size=(100, 4)) * [1.0, 0.2, 0.05, 0.0] + [0.0, 3.0, 3.0, 5.0]


def test_active_units_counts_the_variances_above_the_threshold():
    assert list(means().var(axis=0) > 0.01) == [True, True, False, False]
    metric = ActiveUnits(4)
    for batch in np.split(means(), [10, 45]):
        metric.update_state(batch)
    assert float(metric.result()) == 2


def test_active_units_far_from_zero():
    far = (means() + 1000.0).astype("float32")
    metric = ActiveUnits(4)
    for batch in np.split(np.tile(far, (20, 1)), 20):
        metric.update_state(batch)
    variance = metric._squares / metric._count - (metric._sum / metric._count) ** 2
    np.testing.assert_allclose(variance, far.astype("float64").var(axis=0), atol=1e-6)
    assert float(metric.result()) == 2


def test_active_units_weighs_examples():
    metric = ActiveUnits(4)
    metric.update_state(means(), sample_weight=np.eye(100)[0])
    assert float(metric.result()) == 0  # a single example does not vary


def test_on_a_wide_sphere_a_unit_s_share_of_the_variance_counts():
    dim, rng = 256, np.random.default_rng(0)
    x = rng.normal(size=(400, dim)).astype("float32")
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    model = kvae.VAE(
        keras.Sequential([keras.Input((dim,)), keras.layers.Identity()]),
        keras.Sequential([keras.Input((dim,)), keras.layers.Identity()]),
        kvae.posteriors.PowerSpherical(dim),
        kvae.likelihoods.Normal((dim,)),
        prior=kvae.priors.UniformSphere(dim),
    )
    model.compile()
    kernel, bias = model.posterior.weights[:2]
    kernel.assign(np.eye(dim))
    bias.assign(np.zeros(dim))
    assert x.var(axis=0).max() < 0.01  # 1/D on average
    assert model.evaluate(x, verbose=0, return_dict=True)["active_units"] == dim


def test_active_units_starts_again_after_a_reset():
    metric = ActiveUnits(4)
    metric.update_state(10 * means())
    metric.reset_state()
    metric.update_state(np.zeros((5, 4)))
    assert float(metric.result()) == 0


def test_config_round_trip():
    metric = ActiveUnits(4, threshold=0.5)
    config = keras.saving.serialize_keras_object(metric)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == metric.get_config()
