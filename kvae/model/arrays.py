"""What you can do with a trained model: encode, decode, sample, reconstruct, elbo.

Arrays go in and numpy arrays come out, in batches. Tensors go in and tensors come out, in
one piece, inside a `tf.function` or not, with gradients to all weights.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.completion import Completions, complete
from kvae.core.arrays import is_arrays
from kvae.core.batches import CompiledFunctions, map_batches
from kvae.core.checks import (
    check_count,
    check_latents,
    check_seed,
    check_together,
)
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.fitting.arguments import unpack_batch
from kvae.maths.shaped_distribution import shaped_distribution
from kvae.model import endpoints
from kvae.model.conditions import check_condition, check_visible_part
from kvae.model.table_rows import impute, is_table_condition, sample_given
from kvae.series import Forecast, forecast
from kvae.tables.schema import is_frame

_LOG = logging.getLogger("kvae")


class ArrayMethods(keras.Model):
    """The methods of `kvae.VAE` that use a model without training it."""

    @functools.cached_property
    def compiled_functions(self) -> CompiledFunctions:
        """The graphs of these methods, made at first use."""
        return CompiledFunctions()

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Reconstructs: the mean of p(x|z) at the posterior mean of z, (B, *data_shape)."""
        del training
        return endpoints.reconstruct(self, Inputs.of(inputs))["x"]

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Reconstructs x as `keras.Model.predict` does; arrays are checked first."""
        if is_arrays(x) or x is None or isinstance(x, (list, tuple, str)):
            x = self.complete_inputs(x).to_keras()
        return super().predict(x, *args, **kwargs)

    def encode(self, x: Any, batch_size: int = 512) -> Any:
        """Infers q(z|x).

        Args:
            x: (N, *data_shape), or a dict with "x" and optionally "condition", "mask".
                Arrays are encoded in batches; tensors at once, differentiably.
            batch_size: examples per pass; does not change the result.

        Returns:
            posterior: a TFP distribution with batch (N,) and event `latent_shape`.
        """
        params = self.map_arrays(posterior_params, x, batch_size)
        flat = self.posterior.distribution(
            tf.nest.map_structure(tf.convert_to_tensor, params)
        )
        if len(self.latent_shape) == 1:
            return flat
        return shaped_distribution(flat, self.latent_shape)

    def embed(self, x: Any, batch_size: int = 512) -> Any:
        """Computes the mean of q(z|x): one vector per example.

        Use it for nearest neighbors, classifiers, and UMAP. If the posterior has no
        mean in closed form, this is the point that `reconstruct` decodes.

        Args:
            x: as for `encode`.
            batch_size: examples per pass; does not change the result.

        Returns:
            z: (N, *latent_shape), an array if x is one, else a tensor.
        """
        return self.map_arrays(_embed, x, batch_size)

    def decode(self, z: Any, condition: Any = None) -> Any:
        """Makes p(x|z).

        Args:
            z: (N, *latent_shape) latents.
            condition: the c of p(x|z,c): (N, ...), or one for all; None if the model
                takes none.

        Returns:
            likelihood: a TFP distribution with batch (N,) and event `data_shape`.

        Raises:
            ValueError: if z has another number of latent dimensions, or the condition
                does not fit the model.
        """
        z = check_latents(z, self.latent_shape, self.maths_dtype)
        if not tf.is_tensor(condition):
            num = z.shape[-2]
            condition = self._condition_for(
                condition, None if num is None else int(num)
            )
        return self.likelihood.distribution(self.likelihood_params(z, condition))

    def sample(
        self,
        num: int | None = None,
        seed: int | None = None,
        condition: Any = None,
        temperature: Any = 1.0,
        mean: bool | None = None,
        batch_size: int = 512,
        first: int = 0,
    ) -> Any:
        """Draws new examples: z from the prior, then x from p(x|z).

        Args:
            num: how many examples, at least 1; None draws one for each condition.
            seed: of the draw; example i depends on the seed and i alone. None draws
                different examples in each call.
            condition: the c of p(x|z,c): (num, ...), or one for all, for example the
                label 7; None if the model takes none. For a model of a table, values
                of some columns, {"class": "good"}, or a frame of these columns: the
                others are drawn given them, as `complete` draws what is hidden.
            temperature: multiplies the spread of the prior; 1 draws from p(z). A prior
                with levels also takes one for each, or a dict such as {"7x7": 0.8}.
            mean: return the mean of p(x|z), the usual picture, instead of a draw. None
                takes the mean, but draws the rows of tables.
            batch_size: examples per pass; does not change the result if `mean`.
            first: the i of the first example, to draw very many in several calls. Unless
                `mean`, take a multiple of `batch_size`.

        Returns:
            x: (num, *data_shape), in the units of the data; a data frame for a model of
                a table.

        Raises:
            ValueError: if a number is out of range, or the condition does not fit the
                model.
        """
        if not int(self.step.numpy()):
            _LOG.warning(
                "sample: the model was never trained, so these are pictures of random "
                "weights."
            )
        if self.schema is not None and mean:
            raise ValueError(
                "a table has no mean row, because levels have no mean; leave out mean."
            )
        first = check_count("first", first, least=0)
        if self.schema is not None and is_table_condition(condition):
            if first:
                raise ValueError(
                    "first doesn't go with values of columns; draw all rows at once."
                )
            return sample_given(self, condition, num, seed)
        mean = not self.likelihood.drawn if mean is None else mean
        wanted = num is None and condition is not None
        if not wanted:
            num = check_count("num", num)
            check_together(
                "num", num, math.prod(self.data_shape), "Draw fewer at a time."
            )
        condition = self._condition_for(condition, num)
        inputs = Inputs(np.arange(num or len(condition), dtype="int32"), condition)
        spread = tf.constant(self.prior.temperatures(temperature), self.maths_dtype)
        function = self._compiled(_sample_mean if mean else _sample_pixels)
        x = map_batches(function, inputs, batch_size, _key(seed), spread, first=first)
        return x if self.schema is None else self.schema.decode(x)

    def reconstruct(self, x: Any, batch_size: int = 512) -> Any:
        """Reconstructs x: the mean of p(x|z) at the posterior mean, (N, *data_shape).

        A data frame gives a data frame of the most probable values.
        """
        if self.schema is not None and is_frame(x):
            rows = self.map_arrays(_reconstruct_mode, x, batch_size)
            return self.schema.decode(rows)
        return self.map_arrays(_reconstruct, x, batch_size)

    def impute(
        self, frame: Any, draw: bool = False, num: int = 64, seed: int = 0
    ) -> Any:
        """Fills in the missing values of a table; see `kvae.model.table_rows.impute`."""
        return impute(self, frame, draw, num, seed)

    def complete(
        self, x: Any, mask: Any = None, num: int = 8, seed: int = 0, **options: Any
    ) -> Completions:
        """Draws hidden entries given the visible ones; see `kvae.completion.complete`."""
        return complete(self, x, mask, num, seed, **options)

    def forecast(
        self,
        past: Any,
        steps: int | None = None,
        num: int = 100,
        seed: int = 0,
        **options: Any,
    ) -> Forecast:
        """Draws futures of series given their past; see `kvae.series.forecast`."""
        return forecast(self, past, steps, num, seed, **options)

    def elbo(
        self, x: Any, num_samples: int = 1, seed: int = 0, batch_size: int = 512
    ) -> Any:
        """Estimates the evidence lower bound of each example.

            elbo = mean_k log p(x|z_k) - rate,  z_k from q(z|x)

        The rate is estimated in the same way as in the objective. The noise of example
        i depends on the seed and i alone, so the batch size does not change the result.

        Args:
            x: (N, *data_shape), or a dict with "x" and optionally "condition", "mask".
                Arrays give an array, tensors a tensor with gradients.
            num_samples: K, latents per example.
            seed: of the latents.
            batch_size: examples per pass.

        Returns:
            elbo: (N,) nats per example.
        """
        # A tensor, so that one graph serves any number.
        check_count("num_samples", num_samples)
        rows = _rows_at_once(x, check_count("batch_size", batch_size))
        each = rows * math.prod(self.data_shape)
        advice = "kvae.evaluation.elbo takes any number, some at a time."
        check_together("num_samples", num_samples, each, advice)
        num_samples = tf.constant(num_samples)
        return self.map_arrays(_elbo, x, batch_size, _key(seed), num_samples)

    # === How they run ===

    def complete_inputs(self, x: Any) -> Inputs:
        """Checks arrays for a trained model; a completing one needs the visible part."""
        inputs: Inputs = self.check_inputs(x)
        check_visible_part(self.objective, inputs.condition)
        return inputs

    def _condition_for(self, given: Any, num: int | None) -> Any:
        expected = self.condition
        given = check_visible_part(self.objective, given)
        if expected is not None and given is not None:
            return expected.broadcast(given, num)
        return check_condition(expected, given, self.built)

    def map_arrays(
        self, function: Any, x: Any, batch_size: int = 512, *args: Any
    ) -> Any:
        """Runs a function of one batch over arrays, a data set, or tensors."""
        if isinstance(x, tf.data.Dataset):
            return self._map_dataset(function, x, *args)
        if _holds_tensors(x):
            inputs = self._tensor_inputs(x)
            self.build_for(inputs)
            return function(self, inputs.to_dict(), tf.constant(0), *args)
        inputs = self.complete_inputs(x)
        self.build_for(inputs)
        return map_batches(self._compiled(function), inputs, batch_size, *args)

    def _map_dataset(self, function: Any, dataset: Any, *args: Any) -> Any:
        """Runs over the batches of a data set; example i is the i-th it yields."""
        results, first = [], 0
        for element in dataset:
            batch, _ = unpack_batch(element)
            arrays = {key: value.numpy() for key, value in batch.to_dict().items()}
            inputs = self.complete_inputs(arrays)
            self.build_for(inputs)
            tensors = {k: tf.convert_to_tensor(v) for k, v in inputs.to_dict().items()}
            run = self._compiled(function)
            results.append(run(tensors, tf.constant(first), *args))
            first += len(inputs.x)
        if not results:
            raise ValueError(
                "the data set is empty. Check the file or the filter it came from."
            )
        return tf.nest.map_structure(
            lambda *parts: np.concatenate([part.numpy() for part in parts]), *results
        )

    def _tensor_inputs(self, x: Any) -> Inputs:
        """Reads tensors without looking at their values, which a graph doesn't have yet."""
        inputs = Inputs.of(x)
        arrays = {k: tf.convert_to_tensor(v) for k, v in inputs.to_dict().items()}
        shape = arrays["x"].shape
        if not shape[1:].is_compatible_with(self.data_shape):
            raise ValueError(
                f"the model takes examples of shape {self.data_shape}; received a tensor "
                f"of shape {tuple(shape)}."
            )
        condition = self._checked_condition(arrays.get("condition"))
        return dataclasses.replace(Inputs(**arrays), condition=condition)

    def _compiled(self, function: Any) -> Any:
        return self.compiled_functions.get(functools.partial(function, self))


def _rows_at_once(x: Any, batch_size: int) -> int:
    data = x.get("x") if isinstance(x, dict) else x
    shape = getattr(data, "shape", None)
    return min(int(shape[0]), batch_size) if shape and shape[0] else 1


def _holds_tensors(x: Any) -> bool:
    fields = x.to_dict() if isinstance(x, Inputs) else x
    return any(tf.is_tensor(leaf) for leaf in keras.tree.flatten(fields))


# === One batch of each method, in the form that map_batches calls ===


def posterior_params(
    model: Any, batch: dict[str, Tensor], first: Tensor
) -> dict[str, Tensor]:
    """Computes the parameters of q(z|x) as the posterior takes them, latents flat."""
    del first
    return model.posterior_params(Inputs(**batch))


def _embed(model: Any, batch: dict[str, Tensor], first: Tensor) -> Tensor:
    params = posterior_params(model, batch, first)
    return endpoints.shaped(model, model.posterior.mean(params))


def _reconstruct(model: Any, batch: dict[str, Tensor], first: Tensor) -> Tensor:
    del first
    return endpoints.reconstruct(model, Inputs(**batch))["x"]


def _reconstruct_mode(model: Any, batch: dict[str, Tensor], first: Tensor) -> Tensor:
    del first
    inputs = Inputs(**batch)
    z = model.posterior.mean(model.posterior_params(inputs))
    return model.likelihood.mode(model.likelihood_params(z, inputs.condition))


def _elbo(
    model: Any,
    batch: dict[str, Tensor],
    first: Tensor,
    key: Tensor,
    num_samples: Tensor,
) -> Tensor:
    return endpoints.score(model, Inputs(**batch), key, num_samples, first)["elbo"]


def _sample_mean(
    model: Any,
    batch: dict[str, Tensor],
    first: Tensor,
    key: Tensor,
    temperature: Tensor,
) -> Tensor:
    num, condition = tf.shape(batch["x"])[0], batch.get("condition")
    return endpoints.generate(model, num, key, temperature, condition, first)["x"]


def _sample_pixels(
    model: Any,
    batch: dict[str, Tensor],
    first: Tensor,
    key: Tensor,
    temperature: Tensor,
) -> Tensor:
    num, condition = tf.shape(batch["x"])[0], batch.get("condition")
    z = endpoints.latents(model, num, key, temperature, condition, first)
    params = model.likelihood_params(z, condition)
    seed = tf.stack([key[0], first + 1])
    return model.likelihood.distribution(params).sample(seed=seed)


def _key(seed: int | None) -> Tensor:
    if seed is None:
        seed = np.random.randint(2**31)
    return tf.constant([check_seed(seed), 0], tf.int32)
