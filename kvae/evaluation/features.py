"""The feature space in which samples are compared with data."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from kvae.core.checks import check_count, check_seed, check_size
from kvae.core.inputs import check_finite

_STEPS = 500  # enough for features that tell classes apart, from a few hundred examples


def feature_classifier(
    x: Any,
    y: Any,
    *,
    num_features: int = 64,
    epochs: int | None = None,
    batch_size: int = 128,
    seed: int = 0,
) -> keras.Model:
    """Trains a small classifier on labeled data; its last hidden layer is the features.

    Images of at least 8 x 8 pixels get two strided convolutions, anything else two dense
    layers. Use scores in these features only to compare models trained on this data
    set, and name the classifier whenever you quote one.

    Args:
        x: (N, *data_shape) examples, in the units that the samples will have.
        y: (N,) integer labels.
        num_features: width of the feature layer.
        epochs: passes over the data; None makes 5, or more to reach 500 steps.
        batch_size: examples per step.
        seed: of weights and shuffling.

    Returns:
        features: a Keras model from (B, *data_shape) to (B, num_features). Its name
            states its accuracy on the last tenth of the data, which is held out.

    Raises:
        ValueError: if the labels do not fit or are all the same.
    """
    check_size("num_features", num_features)
    check_count("batch_size", batch_size)
    if epochs is not None:
        check_count("epochs", epochs)
    seed = check_seed(seed)
    x, y = np.asarray(x, "float32"), np.asarray(y)
    if x.ndim < 2:
        raise ValueError(f"x must have shape (N, *data_shape); received {x.shape}.")
    check_finite(x)
    if y.shape != (len(x),) or y.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be integers of shape ({len(x)},); received shape {y.shape}, "
            f"dtype={y.dtype}."
        )
    classes, y = np.unique(y, return_inverse=True)
    if len(classes) < 2 or len(x) < 20:
        raise ValueError(
            f"a classifier needs at least 2 classes and 20 examples; received "
            f"{len(classes)} classes and {len(x)} examples."
        )
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    kept = math.ceil(0.9 * len(x))
    center, spread = float(x[:kept].mean()), float(x[:kept].std()) or 1.0

    inputs = keras.Input(x.shape[1:], name="x")
    features = _body(inputs, (center, spread), num_features, seed)
    logits = keras.layers.Dense(len(classes), **_seeded(seed + 9))(features)
    classifier = keras.Model(inputs, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile("adam", loss, metrics=["accuracy"])
    if epochs is None:
        epochs = max(5, math.ceil(_STEPS / math.ceil(kept / batch_size)))
    # Batches are drawn here: `fit` would shuffle with the user's global generator.
    rng = np.random.default_rng(seed + 1)
    for _ in range(epochs):
        shuffled = rng.permutation(kept)
        for start in range(0, kept, batch_size):
            rows = shuffled[start : start + batch_size]
            classifier.train_on_batch(x[rows], y[rows])
    guesses = classifier.predict(x[kept:], verbose=0).argmax(1)
    accuracy = 100.0 * float((guesses == y[kept:]).mean())
    name = f"classifier_of_{len(classes)}_classes_with_accuracy_{accuracy:.0f}_percent"
    return keras.Model(inputs, features, name=name)


def _seeded(seed: int) -> dict[str, Any]:
    return {"kernel_initializer": keras.initializers.GlorotUniform(seed=seed)}


def _body(
    inputs: Any, center_and_spread: tuple[float, float], num_features: int, seed: int
) -> Any:
    center, spread = center_and_spread
    hidden = keras.layers.Rescaling(1.0 / spread, -center / spread)(inputs)
    shape = tuple(inputs.shape[1:])
    if len(shape) == 2:
        hidden = keras.layers.Reshape((*shape, 1))(hidden)
    if is_image := (len(shape) in (2, 3) and min(shape[:2]) >= 8):
        for i, filters in enumerate((16, 32)):
            layer = keras.layers.Conv2D(
                filters, 3, 2, "same", activation="relu", **_seeded(seed + i)
            )
            hidden = layer(hidden)
    hidden = keras.layers.Flatten()(hidden)
    if not is_image:
        dense = keras.layers.Dense(128, activation="relu", **_seeded(seed + 2))
        hidden = dense(hidden)
    return keras.layers.Dense(
        num_features, activation="relu", name="features", **_seeded(seed + 3)
    )(hidden)


def extract_features(network: Any, x: Any, *, batch_size: int = 256) -> np.ndarray:
    """Maps examples to features, (N, F) float64.

    Args:
        network: any Keras model from (B, *data_shape) to one tensor; further axes are
            flattened. None takes the examples themselves.
        x: (N, *data_shape).
        batch_size: examples per pass.

    Returns:
        features: (N, F).

    Raises:
        TypeError: if the network cannot predict.
        ValueError: if the features are not finite.
    """
    x = np.asarray(x)
    if network is not None and not hasattr(network, "predict"):
        raise TypeError(
            "features must be a Keras model from examples to features; received "
            f"{type(network).__name__}."
        )
    if network is None:
        features = x
    else:
        features = np.asarray(network.predict(x, batch_size=batch_size, verbose=0))
    features = features.reshape(len(x), -1).astype("float64")
    if not np.isfinite(features).all():
        raise ValueError(
            "the features are not finite. Check that the samples are in the units that "
            "the feature network was trained in."
        )
    return features
