"""What a detector computes for an exported file, in tensors."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.attribution import NUM_SAMPLES, surprise


def detect(
    model: Any, detector: Any, inputs: Inputs, alpha: float
) -> dict[str, Tensor]:
    """Scores one batch and decides, as `Detector.detect` does.

    Args:
        model: the detector's model, in float32.
        detector: a calibrated `Detector` whose score is computed in tensors.
        inputs: one batch.
        alpha: the share of normal examples that may raise a false alarm.

    Returns:
        outputs: "score" (B,), "p_value" (B,), "is_anomaly" (B,) int32, 1 for an anomaly,
            and "attribution" (B, *data_shape) nats.
    """
    function, dtype = detector.score_function, model.maths_dtype
    key = tf.constant([detector.seed, 0], tf.int32)
    fitted = {k: tf.constant(v, dtype) for k, v in function.fitted.items()}
    score = function.compute(model, inputs, key, fitted)
    calibration = tf.constant(detector.calibration_scores, dtype)
    # A score that is not a number is one of an impossible example, as in Keras.
    below = tf.cast(calibration[None, :] < score[:, None], dtype)
    count = float(detector.num_calibration)
    at_least = count - tf.reduce_sum(below, axis=1)
    at_least = tf.where(tf.math.is_nan(score), tf.zeros_like(at_least), at_least)
    nats = surprise(model, inputs, key, NUM_SAMPLES)
    nats = nats - tf.constant(detector.usual_surprise, nats.dtype)
    if inputs.mask is not None:
        nats = tf.where(tf.cast(inputs.mask, tf.bool), nats, tf.zeros_like(nats))
    # Whole numbers, which float32 holds exactly: p <= alpha as in Keras.
    most = int(alpha * (count + 1.0) + 1e-9) - 1
    return {
        "score": score,
        "p_value": (1.0 + at_least) / (count + 1.0),
        "is_anomaly": tf.cast(at_least <= float(most), tf.int32),
        "attribution": nats,
    }
