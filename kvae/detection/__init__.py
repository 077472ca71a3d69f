"""Anomalies: scores, thresholds that keep their promise, where the fault is, drift."""

from kvae.detection.attribution import entry_surprise as entry_surprise
from kvae.detection.conformal import Threshold as Threshold
from kvae.detection.conformal import area_under_roc as area_under_roc
from kvae.detection.conformal import benjamini_hochberg as benjamini_hochberg
from kvae.detection.conformal import conformal_p_values as conformal_p_values
from kvae.detection.conformal import fewest_examples as fewest_examples
from kvae.detection.detected import Detected as Detected
from kvae.detection.detector import Detector as Detector
from kvae.detection.drift import DriftResult as DriftResult
from kvae.detection.drift import drift as drift
from kvae.detection.scores.choose import SCORES as SCORES
