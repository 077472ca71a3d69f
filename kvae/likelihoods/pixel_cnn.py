"""A likelihood whose pixels depend on the pixels before them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import MOST_LAYERS, check_size
from kvae.core.say import say_progress
from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.networks import MaskedConvolution, Projection

Pick = Callable[[Params, Tensor], Tensor]
"""Chooses a picture from the parameters of the inner likelihood and the pixel's index."""


@keras.saving.register_keras_serializable(package="kvae")
class PixelCNN(Likelihood):
    """Each pixel given z and the pixels before it, by masked convolutions.

        p(x|z) = prod_i p(x[i] | x[<i], z)

    Pixels are in raster order, all channels of one together. The parameters of pixel i
    come from a small network of the decoder's features and of the pixels in a window above
    and on the left of i, in which every layer is masked. The likelihood that is wrapped
    says what they are parameters of. Nats are exact and take one pass. A draw takes one
    pass over the window for each pixel, so it is slow; the window is small on purpose, so
    that z stays responsible for everything global.

    There is no closed form of the mean. `mean` is a chain: each pixel's mean given the
    means before it. Entries cannot be missing, because the others depend on them.

    Args:
        likelihood: of a pixel given its parameters, such as `Bernoulli((28, 28, 1))`;
            the layer uses a copy of it.
        width: channels of the hidden maps.
        layers: masked convolutions after the first one.
        kernel_size: of the masked convolutions, odd.
        activation: any Keras activation.
        linear: whether features are also a linear function of the pixels in the window of
            one convolution. Parameters of levels can then repeat or continue the pixels
            beside them from the start.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `likelihood` is not a likelihood.
        ValueError: if it isn't of pictures, or an argument is out of range.

    Source: Gulrajani et al. 2016, arXiv:1611.05013 (PixelVAE), with the masks of van den
        Oord, Kalchbrenner, Kavukcuoglu 2016, arXiv:1601.06759.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        width: int = 32,
        layers: int = 2,
        kernel_size: int = 5,
        activation: Any = "silu",
        linear: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(likelihood, Likelihood) or isinstance(likelihood, PixelCNN):
            raise TypeError(
                "PixelCNN wraps a likelihood of pixels, for example "
                f"kvae.likelihoods.Bernoulli((28, 28, 1)); received {likelihood!r}."
            )
        super().__init__(likelihood.data_shape, **kwargs)
        if len(self.data_shape) not in (2, 3):
            raise ValueError(
                "PixelCNN takes pictures (H, W) or (H, W, C); the likelihood is of "
                f"data_shape={self.data_shape}."
            )
        # A copy, in the precision of this layer and with weights of its own.
        config = {**likelihood.get_config(), "dtype": self.dtype_policy}
        self.likelihood: Likelihood = type(likelihood).from_config(config)
        self.width = check_size("width", width)
        self.layers = check_size("layers", layers, 0, MOST_LAYERS)
        self.kernel_size = check_size("kernel_size", kernel_size)
        self.activation = activation
        self.support, self.advice = likelihood.support, likelihood.advice
        self.filler, self.continuous = likelihood.filler, likelihood.continuous
        self._act = keras.activations.get(activation)
        self._channels = 1 if len(self.data_shape) == 2 else self.data_shape[2]
        options = {"dtype": self.dtype_policy}
        self._context = Projection(
            self.data_shape[:2], (self.width,), name="context", **options
        )
        self._first = MaskedConvolution(width, kernel_size, False, **options)
        self._hidden = [
            MaskedConvolution(width, kernel_size, **options) for _ in range(layers)
        ]
        self.linear = bool(linear)
        self._linear = (
            MaskedConvolution(width, kernel_size, False, **options)
            if self.linear
            else None
        )

    @property
    def reach(self) -> int:
        """How many rows above, and columns on each side, a pixel depends on."""
        return self._first.reach * (1 + self.layers)

    def adapt(self, x: Any, seed: int = 0) -> None:
        """Passes the training data to the likelihood that is wrapped."""
        self.likelihood.adapt(x, seed)

    @property
    def neutral(self) -> Any:
        """That of the likelihood that is wrapped."""
        return self.likelihood.neutral

    def preprocessing(self) -> Any:
        """That of the likelihood that is wrapped."""
        return self.likelihood.preprocessing()

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Builds the network for features of this shape."""
        picture = (None, *self.data_shape[:2])
        self._context.build(features_shape)
        self._first.build((*picture, self._channels))
        for layer in self._hidden:
            layer.build((*picture, self.width))
        if self._linear is not None:
            self._linear.build((*picture, self._channels))
        self.likelihood.build((*picture, self.width))
        self.built = True

    def call(self, features: Tensor) -> Params:
        """Maps features to what pixels get from z, `context` (B, H, W, width)."""
        context = self._context(features)
        return {"context": keras.ops.cast(context, self.maths_dtype)}

    def distribution(self, params: Params) -> Any:
        """Makes a distribution with batch (B,) and event `data_shape`."""
        return _Pixels(self, params)

    def observed_log_prob(
        self, params: Params, x: Tensor, observed: Tensor | None
    ) -> Tensor:
        """Computes log p(x|z), (...) nats.

        Raises:
            ValueError: if entries are missing.
        """
        if observed is not None:
            raise ValueError(
                "PixelCNN gives each pixel a probability given those before it, so no "
                "entry can be missing; received a mask. Use the likelihood without "
                f"PixelCNN, {type(self.likelihood).__name__}."
            )
        rows, x, lead = self._rows(params, x)
        total = self.likelihood.observed_log_prob(self._params(rows, x), x, None)
        return tf.reshape(total, lead)

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes log p of each entry given the pixels before it, in the shape of x."""
        rows, x, lead = self._rows(params, tf.cast(x, self.maths_dtype))
        entries = self.likelihood.entry_log_prob(self._params(rows, x), x)
        return tf.reshape(entries, tf.concat([lead, self.data_shape], axis=0))

    def mean(self, params: Params) -> Tensor:
        """Each pixel's mean given the means before it, (..., *data_shape)."""
        context = params["context"]
        lead = tf.shape(context)[:-3]
        x = self.chain(context, lambda inner, index: self.likelihood.mean(inner))
        return tf.reshape(x, tf.concat([lead, self.data_shape], axis=0))

    def mode(self, params: Params) -> Tensor:
        """Raises, because the most probable picture is not known.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "PixelCNN has no mode in closed form. Show mean(params), or draw from "
            "distribution(params)."
        )

    def supports(self, x: Tensor) -> Tensor:
        """That of the likelihood that is wrapped."""
        return self.likelihood.supports(x)

    def chain(self, context: Tensor, pick: Pick, shown: bool = False) -> Tensor:
        """Makes pictures pixel by pixel.

        Args:
            context: (..., H, W, width), from `call`.
            pick: of the parameters of all pixels given those made so far, only one of
                which is used.
            shown: whether a progress bar shows the rows.

        Returns:
            x: (rows, *data_shape), rows in the order of the leading axes.
        """
        height, width = self.data_shape[:2]
        reach = self.reach
        context = tf.reshape(context, (-1, height, width, self.width))
        around = [[0, 0], [reach, 0], [reach, reach], [0, 0]]
        wide = tf.pad(context, around)
        inside = tf.pad(tf.ones((1, height, width, 1), wide.dtype), around)
        rows = tf.shape(context)[0]
        start = tf.zeros((rows, height, width, self._channels), self.maths_dtype)
        places = tf.reshape(tf.range(height * width), (1, height, width, 1))

        def step(index: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            i, j = index // width, index % width
            if shown:
                say_progress("rows sampled", i + 1, height, j == width - 1)
            corner = ([0, i, j, 0], [-1, reach + 1, 2 * reach + 1, -1])
            hidden = self._network(
                tf.slice(wide, *corner),
                tf.slice(tf.pad(x, around), *corner),
                tf.slice(inside, *corner),
            )[:, -1:, reach : reach + 1]
            made = self._pixels(hidden, index, pick)
            return index + 1, tf.where(places == index, tf.cast(made, x.dtype), x)

        _, x = tf.while_loop(
            lambda index, x: index < height * width,
            step,
            (tf.constant(0), start),
            shape_invariants=(
                tf.TensorShape(()),
                tf.TensorShape((None, height, width, self._channels)),
            ),
        )
        return tf.reshape(x, (-1, *self.data_shape))

    def _pixels(self, hidden: Tensor, index: Tensor, pick: Pick) -> Tensor:
        """Picks one pixel of each picture, (B, 1, 1, C), from its features (B, 1, 1, w).

        The wrapped likelihood takes features of whole pictures. If all positions are
        alike to it, the B pixels fill as few pictures as they can. Otherwise there is a
        whole picture for each pixel, of which one position is used.
        """
        shape, rows = self.data_shape[:2], tf.shape(hidden)[0]
        alike = not any(w.shape[:2] == shape for w in self.likelihood.weights)
        if alike:
            flat = hidden[:, 0, 0]
            flat = tf.pad(flat, [[0, -rows % math.prod(shape)], [0, 0]])
            hidden = tf.reshape(flat, (-1, *shape, self.width))
        else:
            hidden = tf.tile(hidden, (1, *shape, 1))
        made = pick(self.likelihood(hidden), index)
        made = tf.reshape(made, (-1, math.prod(shape), self._channels))
        if alike:
            made = tf.reshape(made, (-1, self._channels))[:rows]
        else:
            made = tf.gather(made, index, axis=1)
        return made[:, None, None]

    def _rows(self, params: Params, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gives the context and x a row for each of their leading axes, and their shape."""
        context, axes = params["context"], len(self.data_shape)
        lead = tf.broadcast_dynamic_shape(
            tf.shape(context)[:-3], tf.shape(x)[: len(x.shape) - axes]
        )
        rows = tf.broadcast_to(context, tf.concat([lead, tf.shape(context)[-3:]], 0))
        x = tf.broadcast_to(x, tf.concat([lead, self.data_shape], axis=0))
        return (
            tf.reshape(rows, (-1, *self.data_shape[:2], self.width)),
            tf.reshape(x, (-1, *self.data_shape)),
            lead,
        )

    def _params(self, context: Tensor, x: Tensor) -> Params:
        """Computes the parameters of every pixel given those before it."""
        height, width = self.data_shape[:2]
        x = tf.reshape(x, (-1, height, width, self._channels))
        params: Params = self.likelihood(self._network(context, x, None))
        return params

    def _network(self, context: Tensor, x: Tensor, inside: Tensor | None) -> Tensor:
        """Runs the masked convolutions on whole pictures or on a window of them.

        Args:
            context: (B, h, w, width).
            x: (B, h, w, C).
            inside: (1, h, w, 1), 1 where the window is inside the picture: the others
                are the zeros that a convolution of the whole picture has around it. None
                if it is the whole picture.
        """
        dtype = self.compute_dtype
        x = tf.cast(x, dtype)
        hidden = tf.cast(context, dtype) + self._first(x)
        for layer in self._hidden:
            seen = self._act(hidden)
            if inside is not None:
                seen = seen * tf.cast(inside, dtype)
            hidden = hidden + layer(seen)
        hidden = self._act(hidden)
        return hidden if self._linear is None else hidden + self._linear(x)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["data_shape"]
        return {
            **config,
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
            "width": self.width,
            "layers": self.layers,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(
                keras.activations.get(self.activation)
            ),
            "linear": self.linear,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PixelCNN:
        """Makes a likelihood from `get_config`."""
        inner = keras.saving.deserialize_keras_object(config["likelihood"])
        return cls(**{**config, "likelihood": inner})


class _Pixels(tfp.distributions.Distribution):
    """The distribution of a picture: draws go pixel by pixel."""

    def __init__(self, part: PixelCNN, params: Params) -> None:
        parameters = dict(locals())
        context = params["context"]
        super().__init__(
            dtype=context.dtype,
            reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name="PixelCNN",
        )
        self._part, self._params = part, params

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> Any:
        properties = tfp.util.ParameterProperties
        return {
            "part": properties(event_ndims=None),
            "params": properties(event_ndims=None),
        }

    def _batch_shape(self) -> tf.TensorShape:
        return self._params["context"].shape[:-3]

    def _batch_shape_tensor(self, **parameters: Any) -> Tensor:
        return tf.shape(self._params["context"])[:-3]

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape(self._part.data_shape)

    def _event_shape_tensor(self) -> Tensor:
        return tf.constant(self._part.data_shape, tf.int32)

    def _sample_n(self, n: Any, seed: Any = None) -> Tensor:
        part, context = self._part, self._params["context"]
        seed = tfp.random.sanitize_seed(seed)
        many = tf.repeat(context[None], n, axis=0)

        def pick(inner: Params, index: Tensor) -> Tensor:
            folded = tf.random.experimental.stateless_fold_in(seed, index)
            return part.likelihood.distribution(inner).sample(seed=folded)

        x = part.chain(many, pick, shown=True)
        shape = tf.concat([tf.shape(many)[:-3], part.data_shape], axis=0)
        return tf.reshape(x, shape)

    def _log_prob(self, value: Tensor) -> Tensor:
        return self._part.log_prob(self._params, value)
