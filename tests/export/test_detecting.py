"""The endpoint `detect` of a server and a phone decides as the detector in Keras does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import kvae
import kvae.export
from kvae.detection import Detector, scores
from kvae.export.checks.verification import litert_runner

pytestmark = pytest.mark.slow

ALPHA = 0.05


@pytest.fixture(scope="module")
def detector(vae: Any, digits: np.ndarray) -> Detector:
    return Detector(vae).calibrate(digits[:400])


@pytest.fixture(scope="module")
def bundle(
    vae: Any,
    digits: np.ndarray,
    detector: Detector,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Any]:
    directory = tmp_path_factory.mktemp("detecting") / "out"
    report = kvae.export.export(
        vae, directory, digits, whole_model=True, detector=detector, alpha=ALPHA
    )
    return directory, report


def test_both_targets_offer_it(bundle: tuple[Path, Any]) -> None:
    assert bundle[1].ok
    assert not bundle[1].refused
    offering = {f["path"] for f in bundle[1].files if "detect" in f["signatures"]}
    assert offering == {"saved_model/1", "litert/model.tflite"}
    about = json.loads((bundle[0] / "export.json").read_text())["model"]["detection"]
    assert about == {
        "score": "reconstruction_error + complexity_ratio + neighbor_distance",
        "unit": "spreads of normal data",
        "alpha": ALPHA,
        "calibration_examples": 200,
    }


@pytest.mark.parametrize("target", ["server", "phone"])
def test_no_decision_differs(
    bundle: tuple[Path, Any], detector: Detector, digits: np.ndarray, target: str
) -> None:
    """On normal digits, noisy ones, and inverted ones, from none to all anomalies.

    None is a calibration example, whose score is exactly a calibration score, so that
    rounding would decide.
    """
    digits = digits[400:]
    noise = np.random.default_rng(0).uniform(size=digits.shape).astype("float32")
    x = np.concatenate(
        [
            *((1 - share) * digits + share * noise for share in (0.0, 0.1, 0.2, 0.3)),
            1 - digits,
        ]
    )
    found = detector.detect(x, ALPHA, attribution=True)
    assert 0.05 < found.is_anomaly.mean() < 0.95
    if target == "server":
        loaded = tf.saved_model.load(str(bundle[0] / "saved_model" / "1"))
        got = loaded.signatures["detect"](x=tf.constant(x))
        got = {name: value.numpy() for name, value in got.items()}
    else:
        got = litert_runner(bundle[0] / "litert" / "model.tflite")("detect", {"x": x})
    different = (got["is_anomaly"] == 1) != found.is_anomaly
    assert different.sum() == 0
    np.testing.assert_allclose(got["score"], found.score, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(got["p_value"], found.p_value, atol=0.01)
    np.testing.assert_allclose(got["attribution"], found.attribution, atol=1e-3)


def test_detectors_that_do_not_fit_are_refused(
    vae: Any, digits: np.ndarray, detector: Detector, tmp_path: Path
) -> None:
    def refused(given: Any, message: str, error: Any = ValueError, **options: Any):
        with pytest.raises(error, match=message):
            kvae.export.saved_model(vae, tmp_path / "out", detector=given, **options)

    refused("found/detector", "must be a kvae.detection.Detector", TypeError)
    refused(Detector(vae), "isn't calibrated")
    refused(detector, "needs at least 9999 calibration", alpha=0.0001)
    background = Detector(vae, scores.BackgroundRatio(vae)).calibrate(digits[:100])
    refused(background, "not computed in tensors")
    other = kvae.VAE.for_data(digits, latent_dim=2)
    refused(Detector(other, "elbo").calibrate(digits[:50]), "of another model")
    assert not (tmp_path / "out").exists()
