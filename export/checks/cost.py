"""The cost of a precision, in the model's own unit, nats."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.export.checks.parity_cases import random_inputs, real_inputs
from kvae.export.checks.verification import Runner
from kvae.export.signatures import input_names, takes_mask
from kvae.masks import visible_part
from kvae.model import endpoints
from kvae.noise import Noise
from kvae.objectives import is_completing

BUDGETS = {"float32": 1e-6, "float16": 5e-5, "int8_dynamic": 5e-4, "int8": 2e-3}
"""By how much each precision may change the ELBO, in nats per scored entry. On 28x28
images that is 0.04 nats for float16, 0.4 for int8_dynamic and 1.6 for int8."""

_EXAMPLES = 512
_ROWS = 64  # examples per pass


def measure(
    model: Any, run: Runner, file: dict[str, Any], x: Any = None
) -> dict[str, Any]:
    """Computes rate and distortion with a file in place of the Keras networks.

    Both sides use the same noise for the latents. A file without `encode` gets the
    Keras posterior, so its rate can't change. Densities are computed in Keras, so only
    the operations of the file are rounded.

    Args:
        model: the `kvae.VAE` in float32.
        run: a runner of the file.
        file: its entry in the manifest.
        x: test examples; without them, draws from the model itself.

    Returns:
        cost: mean "rate", "distortion" and "elbo" in Keras, and their changes, in nats
            per example; whether the change keeps the budget; the time of one example.
    """
    inputs, scored = _with_scored(model, examples_for(model, x), real=x is not None)
    given = set(file["signatures"])
    with tf.device("CPU:0"):
        expected = _elbo_through(model, inputs, scored, None, set(), 1)
        rows = file["batch"] or _ROWS
        taken = given & {"encode", "decode"}
        got = _elbo_through(model, inputs, scored, run, taken, rows)
    names = ("rate", "distortion")
    means = {name: float(np.mean(expected[name])) for name in names}
    change = {name: float(np.mean(got[name] - expected[name])) for name in names}
    entries = np.mean(np.sum(scored.reshape(len(scored), -1), axis=1))
    budget = float(BUDGETS[file["precision"]] * entries)
    elbo_change = -sum(change.values())
    return {
        "data": "random" if x is None else "real",
        "examples": len(inputs["x"]),
        **means,
        "elbo": -sum(means.values()),
        "rate_change": change["rate"],
        "distortion_change": change["distortion"],
        "elbo_change": elbo_change,
        "budget": budget,
        "within_budget": bool(abs(elbo_change) <= budget),
        "microseconds": _microseconds(model, run, file),
    }


def examples_for(model: Any, x: Any) -> dict[str, np.ndarray]:
    """Chooses the examples to measure on; the first ones may have calibrated int8."""
    if x is None:
        return random_inputs(model, _EXAMPLES, seed=99)
    count = min(len(model.read_inputs(x).x), 128 + _EXAMPLES)
    every = real_inputs(model, x, count)
    first = min(128, count // 2)
    return {
        name: value if name == "seed" else value[first : first + _EXAMPLES]
        for name, value in every.items()
    }


def _with_scored(
    model: Any, inputs: dict[str, np.ndarray], real: bool
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Adds a mask of the entries that the ELBO covers, and the condition to match."""
    if is_completing(model):
        if real:  # x holds only the hidden part, and the condition the visible part
            return inputs, 1.0 - inputs["mask"]
        visible = visible_part(inputs["x"], inputs["mask"]).numpy()
        return {**inputs, "condition": visible}, 1.0 - inputs["mask"]
    if takes_mask(model):
        return inputs, inputs["mask"]
    return inputs, np.ones_like(inputs["x"])


def _elbo_through(
    model: Any,
    inputs: dict[str, np.ndarray],
    scored: np.ndarray,
    run: Runner | None,
    taken: set[str],
    rows: int,
) -> dict[str, np.ndarray]:
    names = input_names(model, "encode")
    count = len(inputs["x"])
    batch = Inputs(**{name: tf.constant(inputs[name]) for name in names})
    condition = {} if batch.condition is None else {"condition": inputs["condition"]}

    def through(name: str, arrays: dict[str, Any]) -> dict[str, Any]:
        assert run is not None
        filled = -(-count // rows) * rows  # whole batches; the surplus is dropped
        whole = {k: np.resize(v, (filled, *np.shape(v)[1:])) for k, v in arrays.items()}
        pieces = [
            run(name, {k: v[i : i + rows] for k, v in whole.items()})
            for i in range(0, filled, rows)
        ]
        return {
            k: tf.constant(np.concatenate([p[k] for p in pieces])[:count])
            for k in pieces[0]
        }

    if "encode" in taken:
        posterior = through("encode", {name: inputs[name] for name in names})
        posterior = endpoints.flat_params(model, posterior)
    else:
        posterior = model.posterior_params(batch)
    noise = Noise(tf.constant([9, 9]), tf.constant(0))
    base = noise.normal(1, count, model.posterior.noise_dim)
    z, log_posterior = model.posterior.sample_and_log_prob(posterior, base)
    if "decode" in taken:
        params = through("decode", {"z": endpoints.shaped(model, z[0]), **condition})
        params.pop("mean")
    else:
        params = model.likelihood_params(z[0], batch.condition)
    params = {name: value[None] for name, value in params.items()}
    # Without a mask where all is scored: some likelihoods take none.
    batch = dataclasses.replace(
        batch, mask=None if scored.all() else tf.constant(scored)
    )
    draw = model.weigh(batch, posterior, z, log_posterior, likelihood=params)
    return {
        "rate": np.asarray(model.objective.rate(model, draw)),
        "distortion": -np.asarray(draw.log_likelihood[0]),
    }


def _microseconds(model: Any, run: Runner, file: dict[str, Any]) -> float:
    """The median time of decoding a batch of 1, or the fixed batch, per example."""
    rows = file["batch"] or 1
    source = random_inputs(model, rows, seed=5)
    names = file["signatures"]["decode"]
    given = {name: source[name] for name in names}
    times = []
    for _ in range(60):
        start = time.perf_counter()
        run("decode", given)
        times.append(time.perf_counter() - start)
    return float(np.median(times[10:]) / rows * 1e6)
