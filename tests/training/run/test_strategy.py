"""The strategies of a configuration; how they train is shown elsewhere."""

import logging

import pytest
import tensorflow as tf

from kvae.training import Config, UserError
from kvae.training.run.strategy import make_strategy


def test_none_is_the_strategy_of_one_device() -> None:
    assert make_strategy(None) is tf.distribute.get_strategy()


def test_mirrored_on_one_device_says_so_and_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.config, "list_logical_devices", _one_cpu)
    with caplog.at_level(logging.WARNING, "kvae"):
        assert make_strategy("mirrored") is tf.distribute.get_strategy()
    assert "found one device, /device:CPU:0: the run uses it" in caplog.text


def test_unknown_strategies_are_refused() -> None:
    with pytest.raises(
        UserError, match='strategy must be "mirrored" or "multi_worker"'
    ):
        Config(strategy="horovod")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "needs the environment variable TF_CONFIG"),
        ("{", "TF_CONFIG must look like"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "TF_CONFIG must look like"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
            "TF_CONFIG must look like",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "TF_CONFIG must look like",
        ),
    ],
)
def test_workers_without_a_right_tf_config_are_refused(
    text: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=words):
        make_strategy("multi_worker")


def test_workers_must_come_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tf.constant(1.0)
    cluster = '{"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, '
    monkeypatch.setenv("TF_CONFIG", cluster + '"task": {"type": "worker", "index": 0}}')
    with pytest.raises(UserError, match="must come first in a process"):
        make_strategy("multi_worker")


def _one_cpu(kind: str) -> list[tf.config.LogicalDevice]:
    return [tf.config.LogicalDevice("/device:CPU:0", "CPU")] if kind == "CPU" else []
