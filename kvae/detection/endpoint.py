"""What a detector computes for an exported file, in tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
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
            and "attribution" (B, *data_shape) nats, that of q(z|x) even if the detector's
            is robust, which takes gradients.
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
    most = _most(detector, alpha)
    return {
        "score": score,
        "p_value": (1.0 + at_least) / (count + 1.0),
        "is_anomaly": tf.cast(at_least <= float(most), tf.int32),
        "attribution": nats,
    }


def impossible(
    found: dict[str, Tensor], unseen: Tensor, detector: Any, alpha: float
) -> dict[str, Tensor]:
    """Decides about rows with levels that the data of the model didn't have.

    Args:
        found: what `detect` computed with these levels hidden.
        unseen: (B, entries) booleans.
        detector: as for `detect`.
        alpha: as for `detect`.

    Returns:
        outputs: such a row has the score infinity, and so has the attribution of the
            level.
    """
    rows = tf.reduce_any(unseen, axis=1)
    infinite = tf.constant(np.inf, found["score"].dtype)
    smallest = 1.0 / (detector.num_calibration + 1.0)
    decided = int(_most(detector, alpha) >= 0)
    return {
        "score": tf.where(rows, infinite, found["score"]),
        "p_value": tf.where(
            rows, tf.constant(smallest, found["p_value"].dtype), found["p_value"]
        ),
        "is_anomaly": tf.where(rows, decided, found["is_anomaly"]),
        "attribution": tf.where(unseen, infinite, found["attribution"]),
    }


def _most(detector: Any, alpha: float) -> int:
    """How many calibration scores may be at or above that of an anomaly."""
    return int(alpha * (detector.num_calibration + 1.0) + 1e-9) - 1
