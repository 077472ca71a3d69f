"""A line of 80 columns, and which way of a metric is better."""

import keras
import pytest
from support import small

from kvae.fitting.callbacks import ProgressLine, progress_line

pytestmark = pytest.mark.usefixtures("eagerly")

X = small.binary(24)


def test_an_epoch_is_one_line_of_80_columns(capsys):
    model = small.vae()
    model.fit(X, epochs=2, batch_size=8, validation_data=X)
    lines = capsys.readouterr().out.replace("\r", "").splitlines()
    assert len(lines) == 2
    assert all(len(line) < 80 for line in lines)
    for word in ("Epoch 2/2", "3/3", "elbo -", "rate ", "distortion ", "val_elbo -"):
        assert word in lines[1]
    history = model.history.history
    assert f"elbo {history['elbo'][1]:.2f}" in lines[1]
    assert {"loss", "bits_per_dim", "active_units", "val_rate"} <= set(history)


def test_what_does_not_fit_is_left_to_the_history():
    logs = {"loss": 1.0, "elbo": -123456.0, "rate": 1e4, "distortion": 1e5}
    line = progress_line("Epoch 100/100  46900/46900  1000s", logs | {"val_elbo": -2e5})
    assert len(line) < 80
    assert line.endswith("elbo -123456.00  val_elbo -200000.00")
    assert progress_line("1/1", {"loss": 2.0}) == "1/1  loss 2.00"


def test_nothing_is_printed_where_nothing_was_asked_for(capsys):
    model = small.vae()
    model.fit(X, verbose=0)
    model.evaluate(X, verbose=0)
    assert capsys.readouterr().out == ""
    model.evaluate(X)
    assert "elbo" in capsys.readouterr().out


def test_a_bar_of_the_user_s_own_is_the_only_one(capsys):
    small.vae().fit(X, callbacks=[keras.callbacks.ProgbarLogger()])
    assert "bits_per_dim" in capsys.readouterr().out
    assert issubclass(ProgressLine, keras.callbacks.ProgbarLogger)


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [("val_elbo", "max"), ("rate", "min"), ("val_distortion", "min")],
)
def test_early_stopping_knows_which_way_is_better(monitor, mode):
    stop = keras.callbacks.EarlyStopping(monitor=monitor, patience=3)
    small.vae().fit(X, validation_data=X, verbose=0, callbacks=[stop])
    assert stop.mode == mode
    better = {"max": (1.0, 0.0), "min": (0.0, 1.0)}[mode]
    assert stop.monitor_op(*better)
