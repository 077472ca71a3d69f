"""Fits a prior to the latents of a trained model, so that samples look like the data."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count, check_seed, check_vae
from kvae.core.errors import nearest
from kvae.core.extras import require
from kvae.core.types import Tensor
from kvae.model.arrays import posterior_params
from kvae.objectives import ELBO
from kvae.objectives.wrapper import innermost
from kvae.priors import (
    FlowMatching,
    MaskedAutoregressiveFlow,
    Prior,
    RealNVP,
    fit_mixture,
)

_MAKERS: dict[str, Any] = {
    "flow_matching": FlowMatching,
    "mixture": fit_mixture,
    "real_nvp": RealNVP,
    "masked_autoregressive_flow": MaskedAutoregressiveFlow,
}
_FROM_THE_MODEL = {"vae", "x", "latent_dim", "seed", "kwargs"}  # of their arguments
STEPS = 4000  # of the optimizer, where the number of epochs is left open
_BATCH = 256
_BATCH_OF_MAPS = 64  # a convolution of a map costs hundreds of times as much
_FIT = 0x0F17


def fit_prior(
    vae: Any,
    x: Any,
    prior: str | Prior | None = None,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float = 1e-3,
    seed: int = 0,
    verbose: Any = 0,
    callbacks: Any = None,
    **options: Any,
) -> Any:
    """Copies a trained model with a prior fitted to its latents.

        better = kvae.fit_prior(vae, x_train)
        pictures = better.sample(64)

    A standard normal draws latents that the decoder was never trained on; a fitted
    prior draws latents where those of the data are. The networks and the
    reconstructions don't change, and the ELBO of the copy is that with the new prior.

    Args:
        vae: a trained `kvae.VAE` whose latents are in R^D.
        x: (N, *data_shape) training examples, or a dict with "x" and optionally
            "condition" and "mask".
        prior: "mixture" (EM, by scikit-learn), "flow_matching", "real_nvp",
            "masked_autoregressive_flow", or a prior of your own, which is trained by its
            `fit_loss`. None takes flow matching for latents that are maps, unless the
            model has a condition, and otherwise the mixture.
        epochs: passes over x; as many as make 4000 steps if None.
        batch_size: examples per step; None takes 256, or 64 for latents that are maps.
        learning_rate: of Adam at the start; it falls to 0 along a half cosine, and
            weights are averaged.
        seed: of weights, draws and order.
        verbose: as in `fit`.
        callbacks: as in `fit`; the mixture has no steps to call them at.
        **options: of the named prior, such as `num_components=50` of the mixture or
            `num_steps=8` of flow matching.

    Returns:
        vae: built, not compiled; its objective estimates the KL if the new prior has no
            closed form.

    Raises:
        ImportError: for the mixture, if scikit-learn is not installed.
        ValueError: if the prior is unknown or does not fit the latents, or the model is
            conditioned on something other than labels.

    Source: the "ex-post density estimation" of Ghosh et al. 2020, arXiv:1903.12436.
    """
    check_vae(vae)
    check_seed(seed)
    if prior is None:
        maps = len(vae.latent_shape) > 1 and vae.condition is None
        prior = "flow_matching" if maps else "mixture"
    fitted = new_prior(vae, prior, seed, options)
    if fitted is None:
        most = max(1, fewest_of_a_label(vae, x) // 20)
        given = {"num_components": min(50, most), **options}
        fitted = fit_mixture(vae, x, seed=seed, **given)
    else:
        batch_size = batch_of_fit(vae) if batch_size is None else batch_size
        check_count("batch_size", batch_size)
        _train(
            vae,
            x,
            fitted,
            learning_rate,
            seed,
            epochs=epochs,
            batch_size=batch_size,
            verbose=verbose,
            callbacks=callbacks,
        )
    asks_for_closed_form = getattr(innermost(vae.objective), "kl", None) == "exact"
    return vae.with_prior(fitted, ELBO(kl="sampled") if asks_for_closed_form else None)


def batch_of_fit(vae: Any) -> int:
    """Returns how many examples a step of the fit takes, where this is left open."""
    return _BATCH if len(vae.latent_shape) == 1 else _BATCH_OF_MAPS


def epochs_of_fit(examples: int, batch_size: int, steps: int = STEPS) -> int:
    """Returns the passes over the examples that make about so many steps, at least 1."""
    return max(1, round(steps / -(-examples // batch_size)))


def fewest_of_a_label(vae: Any, x: Any) -> int:
    """Returns how many examples the rarest label has, or the number of examples.

    Args:
        vae: with or without labels as condition.
        x: as of `fit_prior`.
    """
    if not isinstance(x, dict):
        if not hasattr(x, "__len__"):
            raise TypeError(
                "x must hold training examples, as an array, or a dict with one; "
                f"received {x!r}."
            )
        return len(x)
    if vae.condition is None or not vae.condition.classes:
        return len(x["x"])
    labels = np.asarray(x["condition"])
    return min(int((labels == each).sum()) for each in vae.condition.classes)


def new_prior(
    vae: Any, prior: str | Prior, seed: int, options: dict[str, Any]
) -> Prior | None:
    """Makes the prior that `fit_prior` trains, and refuses what would not fit.

    Args:
        vae: built.
        prior: as of `fit_prior`.
        seed: of the weights.
        options: of the named prior.

    Returns:
        prior: untrained; None for the mixture, which is made as it is fitted.

    Raises:
        ImportError: as `fit_prior`.
        ValueError: as `fit_prior`, or for an option that the prior does not have.
    """
    if vae.posterior.space != "R^D":
        raise ValueError(
            f"fit_prior fits a density on R^D; the latents of this model are on "
            f"{vae.posterior.space}, where UniformSphere is the prior to draw from."
        )
    if isinstance(prior, str):
        _check_options(prior, options)
    if isinstance(prior, str) and prior == "mixture":
        require("sklearn.mixture", "fit_mixture")
        return None
    made: Any = prior
    if isinstance(prior, str):
        keras.utils.set_random_seed(seed)
        one_axis = prior != "flow_matching"
        made = _MAKERS[prior](
            vae.latent_dim if one_axis else vae.latent_shape, **options
        )
    if not isinstance(made, Prior):
        raise ValueError(_expected(prior))
    if vae.condition is not None:
        raise ValueError(
            f"{type(made).__name__} is p(z), but this model is conditioned on "
            f'{vae.condition}. fit_prior(vae, x, "mixture") fits p(z|label).'
        )
    return made


def _check_options(prior: str, options: dict[str, Any]) -> None:
    if prior not in _MAKERS:
        raise ValueError(_expected(prior))
    known = set(inspect.signature(_MAKERS[prior]).parameters) - _FROM_THE_MODEL
    for name in options:
        if name not in known:
            raise ValueError(
                f"{prior} has no argument {name!r}. {nearest(name, known)}"
            )


def _expected(prior: Any) -> str:
    return (
        f"fit_prior knows {', '.join(_MAKERS)}, or takes a prior object; received "
        f"{prior!r}."
    )


def _train(
    vae: Any,
    x: Any,
    prior: Prior,
    learning_rate: float,
    seed: int,
    *,
    epochs: int | None,
    batch_size: int,
    verbose: Any,
    callbacks: Any,
) -> None:
    params = vae.map_arrays(posterior_params, x)
    count = len(next(iter(params.values())))
    steps = -(-count // batch_size)
    epochs = epochs_of_fit(count, batch_size) if epochs is None else epochs
    fit = _PriorFit(prior, vae.posterior, seed)
    prior.start_fit(fit.draw(params, 0))
    total = epochs * steps
    fit.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(learning_rate, total),
            use_ema=True,
            ema_momentum=max(0.0, 1.0 - 20.0 / total),  # over a twentieth of the fit
        )
    )
    fit.optimizer.build(prior.trainable_variables)  # or the step would be traced twice
    data = tf.data.Dataset.from_tensor_slices(params)
    data = data.shuffle(count, seed=seed, reshuffle_each_iteration=True)
    # An epoch's iterator ends as its tuner wakes up, which takes as long as the epoch did.
    options = tf.data.Options()
    options.autotune.enabled = False
    data = data.with_options(options)
    fit.fit(
        data.batch(batch_size),
        epochs=epochs,
        shuffle=False,
        verbose=verbose,
        callbacks=callbacks,
    )


class _PriorFit(keras.Model):
    """Trains a prior on latents that are drawn from q(z|x) again at every step."""

    def __init__(self, prior: Prior, posterior: Any, seed: int) -> None:
        super().__init__()
        self.prior = prior
        self._sample = posterior.sample  # bound, so that the posterior is not tracked
        self._noise_dim = posterior.noise_dim
        self._seed = seed
        # Without it, Keras reports the mean of the compiled loss, and nothing is compiled.
        self._loss = keras.metrics.Mean(name="loss")
        self.built = True

    @property
    def metrics(self) -> list[Any]:
        """What an epoch is reported by."""
        return [self._loss]

    def draw(self, params: dict[str, Tensor], step: Any) -> Tensor:
        """Draws one z for each example: (B, D)."""
        first = next(iter(params.values()))
        shape = tf.stack([1, tf.shape(first)[0], self._noise_dim])
        seed = tf.stack([self._seed, tf.cast(step, tf.int32)])
        noise = tf.random.stateless_normal(shape, seed, dtype=first.dtype)
        return self._sample(params, noise)[0]

    def train_step(self, params: dict[str, Tensor]) -> dict[str, Tensor]:
        """Takes one optimizer step on one batch of posteriors."""
        step = tf.cast(self.optimizer.iterations.value, tf.int32)
        z = tf.stop_gradient(self.draw(params, step + 1))
        seed = tf.stack([self._seed ^ _FIT, step])
        with tf.GradientTape() as tape:
            loss = self.prior.fit_loss(z, seed)
        variables = self.prior.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self._loss.update_state(loss)
        return {"loss": self._loss.result()}
