"""The checks before anything is written."""

from __future__ import annotations

from typing import Any

import kvae
from kvae.core.extras import require
from kvae.detection import Detector
from kvae.detection.conformal import check_alpha
from kvae.detection.folder import same_weights


def check_built(vae: Any) -> None:
    """Raises unless this is a model with weights.

    Raises:
        TypeError: if it is not a `kvae.VAE`.
        ValueError: if it has no weights yet.
    """
    if not isinstance(vae, kvae.VAE):
        raise TypeError(
            f"export takes a kvae.VAE; received {type(vae).__name__}. Load a saved one "
            "with keras.saving.load_model(path) after `import kvae`."
        )
    if not vae.built:
        raise ValueError(
            "the model has no weights yet. Train it with fit, or build it for a shape: "
            "vae.build((None, *data_shape))."
        )


def check_trained(vae: Any) -> None:
    """Raises if the model was never trained.

    Raises:
        ValueError: with the argument to use if the weights came from elsewhere.
    """
    if int(vae.step.value) == 0:
        raise ValueError(
            "the model was never trained: its weights are random. Call fit first, or "
            "pass allow_untrained=True if the weights came from elsewhere."
        )


def check_attributes(vae: Any, attributes: Any) -> None:
    """Raises unless these are directions in the latents of this model.

    Raises:
        TypeError: if they are not what `kvae.attribute_vectors` returns.
        ValueError: if the latents of their model have another shape.
    """
    if not isinstance(attributes, kvae.AttributeVectors):
        raise TypeError(
            "attributes must be what kvae.attribute_vectors(vae, x, labels) returns; "
            f"received {type(attributes).__name__}."
        )
    if attributes.vectors.shape[1:] != tuple(vae.latent_shape):
        raise ValueError(
            f"the attributes are directions in latents of shape "
            f"{attributes.vectors.shape[1:]}, but those of this model have the shape "
            f"{tuple(vae.latent_shape)}. Find them with the model that you export."
        )


def check_detector(vae: Any, detector: Any, alpha: Any) -> float:
    """Returns alpha, or raises unless this detector can be exported with this model.

    Raises:
        TypeError: if it is not a `kvae.detection.Detector`.
        ValueError: if it isn't calibrated, not enough for alpha, of another model, or has
            a score that is not computed in tensors.
    """
    if not isinstance(detector, Detector):
        raise TypeError(
            "detector must be a kvae.detection.Detector; received "
            f"{type(detector).__name__}."
        )
    if not detector.num_calibration:
        raise ValueError(
            "the detector isn't calibrated: call calibrate(x_normal) first."
        )
    if detector.vae is not vae and not same_weights(detector.vae, vae):
        raise ValueError(
            "the detector is one of another model. Export the model of the detector: "
            "export(detector.vae, ..., detector=detector)."
        )
    if not detector.score_function.in_tensors:
        raise ValueError(
            f"the score {detector.score_function!r} is not computed in tensors, so it "
            'can\'t be exported. Take another one, such as score="auto".'
        )
    return check_alpha(alpha, detector.num_calibration)


def require_litert() -> None:
    """Raises if the LiteRT runtime is missing.

    Raises:
        ImportError: with the command that installs it.
    """
    purpose = "running a LiteRT file, without which none counts as written,"
    require("ai_edge_litert.interpreter", purpose, "mobile")


def require_serving() -> None:
    """Raises if the official TF Serving messages are missing.

    Raises:
        ImportError: with the command that installs them.
    """
    purpose = "what a TF Serving server and its clients exchange"
    require("tensorflow_serving.apis.predict_pb2", purpose, "serving")
