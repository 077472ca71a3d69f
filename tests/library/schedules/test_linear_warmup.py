import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae.schedules import LinearWarmup


def test_values_at_given_steps():
    schedule = LinearWarmup(10, start=2.0, end=4.0)
    found = [float(schedule(step)) for step in (0, 1, 5, 10, 11, 10**9)]
    np.testing.assert_allclose(found, [2.0, 2.2, 3.0, 4.0, 4.0, 4.0], rtol=1e-6)


def test_takes_an_integer_tensor():
    assert float(LinearWarmup(4)(tf.constant(3, tf.int64))) == 0.75


def test_configuration_round_trip():
    config = keras.saving.serialize_keras_object(LinearWarmup(10, end=5.0))
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, LinearWarmup)
    assert again.get_config() == {"steps": 10, "start": 0.0, "end": 5.0}


def test_steps_must_be_positive():
    with pytest.raises(ValueError, match="positive integer; received 0"):
        LinearWarmup(0)
