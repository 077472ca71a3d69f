import keras
import numpy as np

from kvae.metrics import ActiveUnits


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
