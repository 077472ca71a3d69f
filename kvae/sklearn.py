"""Estimators with the interface of scikit-learn, for its pipelines and searches."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.arrays import filled_examples
from kvae.core.extras import require
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.likelihoods import Normal
from kvae.masks import nan_as_missing
from kvae.model.fit_prior import epochs_of_fit
from kvae.model.vae import VAE
from kvae.networks import mlp
from kvae.objectives import IWAE

_LATENTS = 32  # behind a score
_UNITS = (128, 128)  # of the imputer's hidden layers
_STEPS = 3000  # of the optimizer, where the number of epochs is left open

_base = require("sklearn.base", "kvae.sklearn", "tables")
_validation = require("sklearn.utils.validation", "kvae.sklearn", "tables")
_utils = require("sklearn.utils", "kvae.sklearn", "tables")


class _Estimator(_base.TransformerMixin, _base.BaseEstimator):  # type: ignore[name-defined]
    """What both estimators share: their parameters, and how they are fitted."""

    _missing: Any = True  # what `validate_data` thinks of NaN

    def __init__(
        self,
        latent_dim: int = 8,
        epochs: int | None = 50,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    def make_model(self, x: np.ndarray, seed: int) -> Any:
        """Makes the `kvae.VAE` to fit; override it for other parts.

        Args:
            x: (N, D) float64; missing entries repeat others of their column.
            seed: of the model's noise.
        """
        likelihood = Normal((x.shape[1],), scale="per_dimension")
        return VAE.for_data(
            x, self.latent_dim, likelihood=likelihood, seed=seed, data_kind="vectors"
        )

    def fit(self, X: Any, y: Any = None) -> Any:
        """Trains the model.

        Args:
            X: (N, D) numbers.
            y: not used.

        Returns:
            self: fitted.
        """
        del y
        x = self._read(X, reset=True)
        state = _utils.check_random_state(self.random_state)
        seed = int(state.randint(2**31 - 1))
        inputs = nan_as_missing(x) if np.isnan(x).any() else {"x": x}
        shown = filled_examples(x, inputs["mask"]) if "mask" in inputs else x
        batches, epochs = -(-len(x) // self.batch_size), self.epochs
        if epochs is None:
            epochs = epochs_of_fit(len(x), self.batch_size, _STEPS)
        with _own_randomness(seed), _silence(self.verbose):
            self.model_ = self.make_model(shown, seed)
            rate = keras.optimizers.schedules.CosineDecay(
                self.learning_rate, batches * epochs
            )
            self.model_.compile(optimizer=keras.optimizers.Adam(rate))
            self.model_.fit(
                inputs,
                batch_size=self.batch_size,
                epochs=epochs,
                verbose=self.verbose,
            )
        return self

    def _read(self, X: Any, reset: bool) -> np.ndarray:
        least = {"ensure_min_samples": 2} if reset else {}
        if not reset:
            _validation.check_is_fitted(self)
        return np.asarray(
            _validation.validate_data(
                self,
                X,
                reset=reset,
                dtype=[np.float64, np.float32],
                ensure_all_finite=self._missing,
                **least,
            )
        )


class VAETransformer(_Estimator):
    """Embeds rows of numbers by the posterior mean of a VAE, and scores and draws them.

        pipeline = make_pipeline(VAETransformer(latent_dim=4), LogisticRegression())

    Args:
        latent_dim: D, the number of features that `transform` returns.
        epochs: passes over the data.
        batch_size: examples per step.
        learning_rate: of Adam at the start; it falls to 0 along a half cosine.
        random_state: seed of weights, order, and noise.
        verbose: as in `keras.Model.fit`.

    Attributes:
        model_: the `kvae.VAE`.
    """

    def transform(self, X: Any) -> np.ndarray:
        """Computes the posterior mean of each row, (N, latent_dim)."""
        x = self._read(X, reset=False)
        return np.asarray(self.model_.embed(x), x.dtype)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Decodes latents (N, latent_dim) to the mean of p(x|z), (N, D)."""
        _validation.check_is_fitted(self)
        z = np.asarray(X, "float32")
        return np.asarray(self.model_.decode(z).mean(), "float64")

    def score_samples(self, X: Any) -> np.ndarray:
        """Estimates the ELBO of each row, (N,) nats.

        It takes 32 latents from the same noise for every row, so that the score of a row
        depends on this row alone.
        """
        x = self._read(X, reset=False)
        scores = np.asarray(self.model_.map_arrays(_elbo, x), "float64")
        return np.round(scores, 5)  # float32 resolves no more, whatever rows are beside

    def score(self, X: Any, y: Any = None) -> float:
        """Returns the mean ELBO, in nats per row."""
        del y
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: int | None = None) -> np.ndarray:
        """Draws new rows from the model, (n_samples, D)."""
        _validation.check_is_fitted(self)
        drawn = self.model_.sample(n_samples, random_state, mean=False)
        return np.asarray(drawn, "float64")

    @property
    def _n_features_out(self) -> int:
        return int(self.model_.latent_dim)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Returns the names z0, z1, ... of the latents."""
        del input_features
        _validation.check_is_fitted(self)
        return np.array([f"z{i}" for i in range(self._n_features_out)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class VAEImputer(_Estimator):
    """Fills in missing numbers by their mean given the rest of the row, from a VAE.

    It trains on incomplete rows, with an importance-weighted bound on the density of the
    observed entries, as MIWAE does. The likelihood is normal with a scale for each column.

    Args:
        latent_dim: D.
        epochs: passes over the data; None takes as many as make 3000 steps.
        batch_size: examples per step.
        learning_rate: of Adam at the start; it falls to 0 along a half cosine.
        random_state: seed of weights, order, and noise.
        verbose: as in `keras.Model.fit`.

    Attributes:
        model_: the `kvae.VAE`.

    Source: Mattei, Frellsen 2019, arXiv:1812.02633; the gradient is that of Tucker et al.
        2019, arXiv:1810.04152.
    """

    _missing: Any = "allow-nan"

    def __init__(
        self,
        latent_dim: int = 16,
        epochs: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            latent_dim, epochs, batch_size, learning_rate, random_state, verbose
        )

    def make_model(self, x: np.ndarray, seed: int) -> Any:
        """Makes the `kvae.VAE` to fit; override it for other parts.

        Args:
            x: (N, D) float64; missing entries repeat others of their column.
            seed: of the model's noise.
        """
        shape = x.shape[1:]
        return VAE.for_data(
            x,
            self.latent_dim,
            encoder=lambda prepare: mlp(shape, _UNITS, "silu", preprocess=prepare),
            decoder=mlp((self.latent_dim,), _UNITS, "silu", role="decoder"),
            likelihood=Normal(shape, scale="per_dimension"),
            objective=IWAE(10, "dreg"),
            seed=seed,
            data_kind="vectors",
        )

    def transform(self, X: Any) -> np.ndarray:
        """Returns X with its missing entries filled in, (N, D)."""
        x = self._read(X, reset=False)
        seen = ~np.isnan(x)
        rows = np.flatnonzero(~seen.all(axis=1))
        filled = x.copy()
        if len(rows):
            filled[rows] = _impute(self.model_, x[rows], seen[rows])
        return filled

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Returns the names of the columns."""
        return np.asarray(
            _validation._check_feature_names_in(self, input_features), dtype=object
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _elbo(model: Any, batch: dict[str, Tensor], first: Tensor) -> Tensor:
    del first
    inputs = Inputs(**batch)
    half = np.random.default_rng(0).standard_normal(
        (_LATENTS // 2, 1, model.posterior.noise_dim)
    )
    # Mean 0 and variance 1 exactly, or the same error would be in the score of every row.
    noise = np.concatenate([half, -half]) / np.sqrt(np.mean(half**2, axis=0))
    params = model.posterior_params(inputs)
    rows = tf.ones((1, tf.shape(inputs.x)[0], 1), model.maths_dtype)
    base = tf.constant(noise, model.maths_dtype) * rows
    draw = model.weigh(
        inputs, params, *model.posterior.sample_and_log_prob(params, base)
    )
    distortion = -tf.reduce_mean(draw.log_likelihood, axis=0)
    return -(distortion + model.objective.rate(model, draw))


def _impute(model: Any, x: np.ndarray, seen: np.ndarray) -> np.ndarray:
    # Imported here, because evaluation loads far more than a transformer needs.
    from kvae.evaluation.impute import impute

    return np.asarray(
        impute(model, np.where(seen, x, 0), seen, num_samples=1000).single
    )


@contextlib.contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seeds Keras, and leaves the generators of Python and NumPy as they were."""
    before = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


@contextlib.contextmanager
def _silence(verbose: int) -> Iterator[None]:
    """Keeps `for_data` from printing its choice, unless the user wants to see progress."""
    shown = keras.config.is_interactive_logging_enabled()
    if not verbose:
        keras.config.disable_interactive_logging()
    try:
        yield
    finally:
        if shown:
            keras.config.enable_interactive_logging()
