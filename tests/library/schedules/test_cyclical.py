import keras
import numpy as np
import pytest

from kvae.schedules import Cyclical


def test_values_at_given_steps():
    schedule = Cyclical(40, cycles=4, ramp=0.5)
    steps = [0, 1, 4, 5, 9, 10, 12, 39, 40, 41, 1000]
    expected = [0, 0.2, 0.8, 1, 1, 0, 0.4, 1, 1, 1, 1]
    np.testing.assert_allclose([float(schedule(s)) for s in steps], expected, atol=1e-6)


def test_each_cycle_starts_on_its_step_however_long_the_run():
    schedule = Cyclical(3_000_000, cycles=3, start=0.1, end=2.0)
    for step, expected in [(1_000_000, 0.1), (999_999, 2.0), (2_000_000, 0.1)]:
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-6)


def test_matches_the_formula_of_the_paper():
    total, cycles, ramp = 60, 3, 0.4
    period = total / cycles
    steps = np.arange(total)
    tau = np.mod(steps, period) / period
    found = [float(Cyclical(total, cycles, ramp)(s)) for s in steps]
    np.testing.assert_allclose(found, np.minimum(tau / ramp, 1), atol=1e-6)


def test_configuration_round_trip():
    config = keras.saving.serialize_keras_object(Cyclical(12, 2, 0.3, end=5.0))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == Cyclical(12, 2, 0.3, end=5.0).get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 3}, "at least cycles=4; received 3"),
        ({"steps": 10, "cycles": 0}, "cycles to be a positive integer; received 0"),
        ({"steps": 10, "ramp": 0.0}, "0 < ramp <= 1; received 0.0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Cyclical(**arguments)
