"""A distance in the features of a network, trained on the same data or given.

The distance, the network behind it, and its training are on one page.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import (
    check_count,
    check_data_shape,
    check_layer,
    check_seed,
    check_sizes,
)
from kvae.core.say import say
from kvae.core.types import Tensor
from kvae.networks.distance import Distance
from kvae.networks.standardize import Standardize
from kvae.networks.unflatten import Unflatten

_FILTERS = (16, 32, 64, 64)
_STEPS = 400
_BATCH = 64


@keras.saving.register_keras_serializable(package="kvae")
class FeatureDistance(Distance):
    """How far apart two pictures are in the feature maps of a network.

        distance = sum_l mean_places sum_c (f_l(a) / |f_l(a)| - f_l(b) / |f_l(b)|)^2
                 = sum_l 0.5 mean (f_l(a) - f_l(b))^2              without `normalize`

    |f| is the norm over the channels c of one place of map l. The first is that of LPIPS
    with all weights 1. The network is frozen, runs in inference mode, and is saved with
    the layer.

    Args:
        feature_model: Keras model from x, (B, *data_shape), to a tensor, or a list or dict
            of tensors (B, ..., C). It includes any preprocessing. None makes
            `feature_network`, which `adapt` trains on the data without labels.
        normalize: whether features are divided by their norm.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `feature_model` is not a Keras model.
        ValueError: if examples have another shape than the model takes.

    Source: Zhang et al. 2018, LPIPS, arXiv:1801.03924, equation 1; without `normalize`:
        Hou et al. 2017, arXiv:1610.00291.
    """

    def __init__(
        self, feature_model: Any = None, normalize: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        if not isinstance(feature_model, (keras.Model, type(None))):
            raise TypeError(
                "FeatureDistance expects feature_model to be a Keras model from x to "
                f"features; received {feature_model!r}. You can take it from a classifier: "
                "keras.Model(net.input, net.get_layer(name).output)."
            )
        self.given = feature_model is not None
        self.feature_model: Any = feature_model
        self.normalize = normalize
        if feature_model is not None:
            feature_model.trainable = False
        self.built = True

    def prepare(self, data_shape: tuple[int, ...]) -> None:
        """Makes the network, or checks that it takes the examples."""
        if self.feature_model is None:
            self.feature_model = feature_network(data_shape)
            self.feature_model.trainable = False
        shape: Any = getattr(self.feature_model, "input_shape", None)
        if isinstance(shape, tuple) and not tf.TensorShape(
            shape[1:]
        ).is_compatible_with(data_shape):
            raise ValueError(
                f"the feature model takes inputs of shape {shape[1:]}, but examples have "
                f"the shape {data_shape}. Start the feature model with layers that "
                "reshape, resize, or repeat channels, as "
                "kvae.networks.application_features does."
            )

    def adapt(self, x: Any, seed: int = 0) -> None:
        """Trains the network on the data, unless one was given."""
        if not self.given:
            x = np.asarray(x)
            self.prepare(x.shape[1:])
            train_features(self.feature_model, x, seed=seed)

    def call(self, a: Tensor, b: Tensor) -> Tensor:
        """Compares examples (B, *data_shape) in pairs: (B,)."""
        a, b = (tf.convert_to_tensor(x) for x in (a, b))
        self.prepare(tuple(a.shape[1:]))
        maps = [[tf.cast(f, a.dtype) for f in self._features(x)] for x in (a, b)]
        return tf.add_n([self._apart(p, q) for p, q in zip(*maps, strict=True)])

    def _features(self, x: Tensor) -> list[Tensor]:
        return keras.tree.flatten(self.feature_model(x, training=False))

    def _apart(self, p: Tensor, q: Tensor) -> Tensor:
        axes = list(range(1, len(p.shape)))
        if not self.normalize:
            return 0.5 * tf.reduce_mean(tf.square(p - q), axis=axes)
        gap = tf.square(_unit(p) - _unit(q))
        return tf.reduce_mean(tf.reduce_sum(gap, axis=-1, keepdims=True), axis=axes)

    def embedding(self) -> keras.Model:
        """The network up to its last map, averaged over places, for evaluation.

        Returns:
            network: from (B, *data_shape) to (B, F): `features` of
                `kvae.evaluation.sample_quality` and `extract_features`.
        """
        if self.feature_model is None:
            raise ValueError(
                "the network is made when it sees data: call adapt(x) first, or use "
                "kvae.networks.feature_distance(x)."
            )
        last = keras.tree.flatten(self.feature_model.output)[-1]
        places = range(1, len(last.shape) - 1)
        pooled = keras.ops.mean(last, axis=list(places)) if places else last
        return keras.Model(
            self.feature_model.input, pooled, name=self.feature_model.name
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        model = None
        if self.given:
            model = keras.saving.serialize_keras_object(self.feature_model)
        return {
            **super().get_config(),
            "feature_model": model,
            "normalize": self.normalize,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes the distance from `get_config`."""
        model = keras.saving.deserialize_keras_object(config["feature_model"])
        return cls(**{**config, "feature_model": model})


def _unit(features: Tensor) -> Tensor:
    square = tf.reduce_sum(tf.square(features), axis=-1, keepdims=True)
    return features * tf.math.rsqrt(square + 1e-10)


def feature_distance(
    x: Any,
    labels: Any = None,
    *,
    filters: tuple[int, ...] = _FILTERS,
    steps: int = _STEPS,
    seed: int = 0,
) -> FeatureDistance:
    """Trains a small network on pictures and returns the distance in its features.

    With labels the network learns to tell them apart. Without, each picture is turned by
    0, 90, 180, or 270 degrees (mirrored if it is not square), the channels of a picture in
    color are put in one of their six orders, and the network learns to recognize the
    turn and the order. One line says how well it does on pictures that it was not
    trained on.

    Args:
        x: (N, H, W) or (N, H, W, C) training pictures, at least 20, of 8x8 pixels or more.
        labels: (N,) integers, or None.
        filters: channels of each map; every map after the first has half the pixels.
        steps: of training, of 64 pictures each.
        seed: of weights, order, and turns.

    Returns:
        distance: for `objectives.Perceptual`. It holds the network, and is saved with it.

    Raises:
        ValueError: if x are not pictures, or labels do not fit.

    Source: turns: Gidaris, Singh, Komodakis 2018, arXiv:1803.07728.
    """
    x = np.asarray(x)
    filters = check_sizes("filters", filters, "Try (32, 64).")
    check_count("steps", steps)
    network = feature_network(x.shape[1:], filters, seed=check_seed(seed))
    train_features(network, x, labels, steps=steps, seed=seed)
    return FeatureDistance(network)


def feature_network(
    data_shape: tuple[int, ...],
    filters: tuple[int, ...] = _FILTERS,
    seed: int = 0,
) -> keras.Model:
    """Builds the network of `feature_distance`, not yet trained.

    Args:
        data_shape: (H, W) or (H, W, C) of one picture.
        filters: channels of each map, as many as leave 4 pixels a side.
        seed: of the weights.

    Returns:
        network: from (B, *data_shape) to a list of maps, (B, H / 2^l, W / 2^l, filters[l]).

    Raises:
        ValueError: if `data_shape` is not that of a picture of 8x8 pixels or more.
    """
    shape = tuple(data_shape)
    if len(shape) not in (2, 3) or min(shape[:2]) < 8:
        raise ValueError(
            "a network for features of pictures expects data_shape (H, W) or (H, W, C), "
            f"of 8x8 pixels or more; received {shape}."
        )
    x = keras.Input(shape, name="x")
    hidden = Standardize(name="standardize")(x)
    if len(shape) == 2:
        hidden = Unflatten((*shape, 1))(hidden)
    maps: list[Any] = []
    for level, count in enumerate(filters):
        if level and min(hidden.shape[1:3]) < 8:
            break
        hidden = keras.layers.Conv2D(
            count,
            3,
            2 if level else 1,
            "same",
            activation="relu",
            kernel_initializer=keras.initializers.HeNormal(seed=seed + level),
        )(hidden)
        maps.append(hidden)
    return keras.Model(x, maps, name="features")


def train_features(
    network: keras.Model,
    x: Any,
    labels: Any = None,
    *,
    steps: int = _STEPS,
    seed: int = 0,
) -> float:
    """Trains a `feature_network` and freezes it.

    Args:
        network: is changed.
        x: (N, *data_shape) pictures.
        labels: (N,) integers, or None.
        steps: of training, of 64 pictures each.
        seed: of order and turns.

    Returns:
        accuracy: on a tenth of the pictures that it was not trained on, 0 to 1.

    Raises:
        ValueError: if labels do not fit, or there are fewer than 20 pictures.
    """
    check_count("steps", steps)
    x = np.asarray(x, "float32")
    if len(x) < 20:
        raise ValueError(
            f"training features needs at least 20 pictures; received {len(x)}."
        )
    rng = np.random.default_rng(check_seed(seed))
    order = rng.permutation(len(x))
    held = order[: max(2, len(x) // 10)]
    kept = order[len(held) :]
    if labels is None:
        tasks = _turns(x.shape[1:])

        def batch(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            tasks_of = rng.integers(len(tasks), size=len(rows))
            turned = np.empty_like(x[rows])
            for task, turn in enumerate(tasks):
                turned[tasks_of == task] = turn(x[rows[tasks_of == task]])
            return turned, tasks_of

        classes, what = len(tasks), f"{len(tasks)} turns and orders of channels"
    else:
        known, numbers = np.unique(np.asarray(labels), return_inverse=True)
        if numbers.shape != (len(x),) or len(known) < 2:
            raise ValueError(
                f"labels must be at least 2 different integers of shape ({len(x)},); "
                f"received shape {np.shape(labels)} with {len(known)} different ones."
            )

        def batch(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return x[rows], numbers[rows]

        classes, what = len(known), f"{len(known)} labels"
    network.get_layer("standardize").adapt(x)
    network.trainable = True
    last = network.outputs[-1]
    pooled = keras.layers.AveragePooling2D(max(1, min(last.shape[1:3]) // 4))(last)
    start = keras.initializers.GlorotUniform(seed=seed)
    logits = keras.layers.Dense(classes, kernel_initializer=start)(
        keras.layers.Flatten()(pooled)
    )
    classifier = keras.Model(network.input, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.Adam(1e-3), loss)
    # Batches are drawn here: `fit` would shuffle with the user's global generator.
    for _ in range(steps):
        classifier.train_on_batch(*batch(rng.choice(kept, _BATCH)))
    seen, wanted = batch(held)
    guesses = classifier.predict(seen, verbose=0).argmax(1)
    network.trainable = False
    accuracy = float((guesses == wanted).mean())
    say(
        f"feature distance: a network trained on {len(kept)} pictures tells {what} apart; "
        f"of {len(held)} others it gets {100 * accuracy:.0f} percent right (guessing: "
        f"{100 / classes:.0f})"
    )
    return accuracy


def _turns(shape: tuple[int, ...]) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Ways to turn pictures (N, *shape), the first of which does nothing."""
    orders = list(itertools.permutations(range(3))) if shape[2:] == (3,) else [None]

    def turn(way: int, order: Any, x: np.ndarray) -> np.ndarray:
        if shape[0] == shape[1]:
            x = np.rot90(x, way, axes=(1, 2))
        else:
            x = x[:, :: 1 - 2 * (way // 2), :: 1 - 2 * (way % 2)]
        return x if order is None else x[..., list(order)]

    every = itertools.product(range(4), orders)
    return [functools.partial(turn, way, order) for way, order in every]


def application_features(
    network: keras.Model,
    data_shape: tuple[int, ...],
    layers: tuple[str, ...] | None = None,
    preprocess: Any = None,
) -> keras.Model:
    """Makes a feature model for pictures of a shape from any network for pictures.

    For example, with weights that are on your disk and pictures in [0, 1]:

        vgg = keras.applications.VGG16(weights="vgg16.h5", include_top=False)
        model = application_features(vgg, (64, 64, 3), preprocess=Rescaling(255.0))
        distance = FeatureDistance(model)

    One channel is repeated where the network takes three, and pictures are resized where it
    takes another size. Its own preprocessing is up to you, because files don't hold it.

    Args:
        network: a functional Keras model from (B, h, w, c), such as one of
            `keras.applications`, with its weights. It is not changed.
        data_shape: (H, W) or (H, W, C) of one picture.
        layers: names of the layers whose outputs are features. None takes the last map of
            each size, at most five, which begins with the largest.
        preprocess: a Keras layer that pictures go through first, as the network expects.

    Returns:
        model: from (B, *data_shape) to a list of maps.

    Raises:
        ValueError: if the network has no such layers, or channels do not fit.
    """
    if not isinstance(network, keras.Model) or not hasattr(network, "input"):
        raise TypeError(
            "network must be a functional Keras model, of keras.Model(inputs, outputs); "
            f"received {network!r}."
        )
    given = isinstance(layers, (tuple, list)) and len(layers) > 0
    if layers is not None and not (given and all(isinstance(n, str) for n in layers)):
        raise ValueError(
            f"layers must be a tuple of names of layers, or None; received {layers!r}."
        )
    check_layer("preprocess", preprocess)
    data_shape = check_data_shape("application_features", data_shape)
    if len(data_shape) not in (2, 3):
        raise ValueError(
            "application_features expects data_shape (H, W) or (H, W, C); received "
            f"{data_shape}."
        )
    maps = _maps(network, layers)
    body = keras.Model(network.input, maps, name=network.name)
    height, width, channels = network.input.shape[1:]
    shape = tuple(data_shape)
    x = keras.Input(shape, name="x")
    hidden = Unflatten((*shape, 1))(x) if len(shape) == 2 else x
    if hidden.shape[-1] == 1 and channels == 3:
        hidden = keras.layers.Concatenate()([hidden] * 3)
    if hidden.shape[-1] != channels:
        raise ValueError(
            f"{network.name} takes {channels} channels; received pictures of shape {shape}."
        )
    if height is not None and (height, width) != tuple(hidden.shape[1:3]):
        hidden = keras.layers.Resizing(height, width)(hidden)
    if preprocess is not None:
        hidden = preprocess(hidden)
    return keras.Model(x, body(hidden), name=f"{network.name}_features")


def _maps(network: keras.Model, layers: tuple[str, ...] | None) -> list[Any]:
    """Outputs of the named layers, or of the last layer of each size."""
    if layers is not None:
        return [network.get_layer(name).output for name in layers]
    if None in network.input.shape[1:3]:
        raise ValueError(
            f"{network.name} takes pictures of any size, so the sizes of its maps are not "
            "known. Name layers, or build it with input_shape=(H, W, C)."
        )
    found: dict[Any, Any] = {}
    for layer in network.layers[1:]:
        output = layer.output
        padded = isinstance(layer, keras.layers.ZeroPadding2D)
        if len(getattr(output, "shape", ())) == 4 and not padded:
            found[tuple(output.shape[1:3])] = output
    return list(found.values())[:5]
