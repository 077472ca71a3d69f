"""The left half of a digit given the right half: nats, variety, and the right digit.

    python benchmarks/completion.py --out completion.json           # bundled 8x8 digits
    python benchmarks/completion.py --data mnist --data-dir DIR --out mnist.json --epochs 20
        --batch-size 200 --units 300 300 --latent-dim 40 --picture mnist.png    # one line

Binary pixels, drawn again each epoch in training and once for the test. All methods give
each hidden pixel a Bernoulli probability:

    completing VAE      p(left | right) by importance sampling
    regressor           the decoder's network without a latent
    nearest neighbor   the left half of the training digit whose right half is nearest,
                        mixed with the mean digit by a weight chosen on validation digits
    k neighbors        the mean of several, their number chosen on validation digits too
    VAE, resampling     of an unconditional VAE, K candidates for z given the right half,
                        w_k their importance weights: log sum_k w_k p(left | z_k)
    VAE, p(x) / p(right)   of the same, log p(x) - log p(right): what resampling would
                        reach with candidates without end; errs either way

Networks are dense with the same hidden layers, optimizer and number of steps, and keep
their best epoch on validation digits. The errors of differences are paired. When the
unconditional VAE is trained, it gets an encoder for right halves, with everything else
frozen, because its own would propose poor candidates. The other rows are biased low.

It is one long file, so that all methods and their measure stand side by side.

A classifier that was trained on real training digits alone judges whole digits, binary
pixels drawn from each completion beside the visible ones; of each there are several.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kvae
from kvae import (
    evaluation,
    likelihoods,
    masks,
    networks,
    posteriors,
    presets,
    priors,
    schedules,
)
from kvae.masks import visible_shape
from kvae.objectives import ELBO
from kvae.training import binarize_once, load_data, training_batches
from kvae.training.run.completion import save_completions

HALF = masks.Half("left")


def main() -> None:
    """Reads the arguments, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-dir", help="of TensorFlow Datasets")
    parser.add_argument("--latent-dim", type=int, default=8)
    parser.add_argument("--units", type=int, nargs="+", default=[128])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--examples", type=int, default=1000, help="of the test set")
    parser.add_argument("--num-samples", type=int, default=1000, help="K")
    parser.add_argument("--num", type=int, default=8, help="completions of each digit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--picture", type=pathlib.Path)
    setting = parser.parse_args()
    found = measure(setting)
    setting.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))


def measure(setting: argparse.Namespace) -> dict[str, Any]:
    """Trains all methods and measures them on the same test digits."""
    share = 0.1 if setting.data == "digits" else 1000
    data = load_data(setting.data, setting.data_dir, share)
    test = binarize_once(data.test)[: setting.examples]
    labels = np.asarray(data.test_labels)[: len(test)]
    num = setting.num

    vae = trained(completing(data.train, setting), data, setting)
    whole = trained(unconditional(data.train, setting), data, setting)
    plain = for_right_halves(whole, data, setting)
    given = regressor(data, setting)
    one, several = neighbors(data, (1,)), neighbors(data, (1, 3, 10, 30, 100))
    scored, notes = {}, {}
    count, seed = setting.num_samples, setting.seed
    visible = {"x": test, "mask": HALF.draw(len(test), data.shape).numpy()}
    both = (
        evaluation.log_likelihood(whole, test, count, seed),
        evaluation.log_likelihood(plain, visible, count, seed),
    )
    for name, result in {
        "completing VAE": evaluation.conditional_log_likelihood(
            vae, test, HALF, count, seed
        ),
        "VAE, resampling": evaluation.conditional_log_likelihood(
            plain, test, HALF, count, seed, candidates_only=True
        ),
    }.items():
        scored[name] = result.per_example
        notes[name] = {
            "estimator": result.estimator,
            "monte_carlo_error": result.monte_carlo_error,
            "least_effective_sample_size": result.effective_sample_size,
        }
    name = "VAE, p(x) / p(right)"
    scored[name] = both[0].per_example - both[1].per_example
    notes[name] = {
        "estimator": "; less ".join(result.estimator for result in both),
        "monte_carlo_error": math.hypot(*(r.monte_carlo_error for r in both)),
        "least_effective_sample_size": float(
            min(result.per_example_ess.min() for result in both)
        ),
    }
    means = {}
    for name, predict in (
        ("regressor", given),
        ("nearest neighbor", one),
        ("k neighbors", several),
    ):
        p = predict(halves(test)[1])
        scored[name] = log_bernoulli(p, halves(test)[0])
        means[name] = np.repeat(p[:, None], num, axis=1)
    for name, model in (("completing VAE", vae), ("VAE, resampling", plain)):
        completed = model.complete(
            test, HALF, num, setting.seed, num_candidates=setting.num_samples
        ).x
        means[name] = halves(completed)[0].reshape(len(test), num, -1)

    judge = classifier(binarize_once(data.train, seed=1), np.asarray(data.train_labels))
    rng = np.random.default_rng(setting.seed)
    rows: dict[str, dict[str, Any]] = {}
    for name, values in scored.items():
        rows[name] = {
            "nats": mean_and_error(values),
            "lead_of_completing_vae": mean_and_error(scored["completing VAE"] - values),
            **notes.get(name, {}),
        }
    for name in means:
        drawn = (rng.random(means[name].shape) < means[name]).astype("float32")
        right = np.repeat(halves(test)[1][:, None], num, axis=1)
        said = judge(join(drawn, right, data.shape)).reshape(len(test), num)
        agrees = mean_and_error((said == labels[:, None]).mean(axis=1))
        rows[name] |= {"agrees": agrees, "distance": distance(means[name])}
    if setting.picture:
        first = [int(np.argmax(labels == kind)) for kind in np.unique(labels)]
        save_completions(setting.picture, vae, test[first], HALF, 6, setting.seed)
    real = judge(test.reshape(len(test), -1)) == labels
    options = {k: v for k, v in vars(setting).items() if k not in ("out", "picture")}
    return {
        "setting": options,
        "test": len(test),
        "hidden": int(halves(test)[0].shape[1]),
        "real_digits_agree": mean_and_error(real),
        "rows": rows,
    }


# === The methods ===


def completing(x: np.ndarray, setting: argparse.Namespace) -> kvae.VAE:
    """The conditional model; its networks see the right half, never the mask."""
    keras.utils.set_random_seed(setting.seed)
    shape, latent, units = x.shape[1:], setting.latent_dim, tuple(setting.units)
    seen = visible_shape(shape)

    def network(main: Any, condition: Any) -> Any:
        right = condition[:, :, shape[1] // 2 :, :1]  # then come the mask's channels
        parts = [keras.layers.Flatten()(part) for part in (*main, right)]
        hidden = keras.layers.Concatenate()(parts) if main else parts[0]
        for width in units:
            hidden = keras.layers.Dense(width, "gelu")(hidden)
        return hidden

    x_input, z = keras.Input(shape, name="x"), keras.Input((latent,), name="z")
    c = [keras.Input(seen, name="condition") for _ in range(3)]
    return presets.completing_vae(
        x,
        latent,
        HALF,
        objective=warm_elbo(x, setting),
        encoder=keras.Model(
            {"x": x_input, "condition": c[0]}, network([x_input], c[0])
        ),
        decoder=keras.Model({"z": z, "condition": c[1]}, network([z], c[1])),
        prior=priors.ConditionalNormal(latent, keras.Model(c[2], network([], c[2]))),
        likelihood=likelihoods.Bernoulli(shape),
        seed=setting.seed,
    )


def unconditional(x: np.ndarray, setting: argparse.Namespace) -> kvae.VAE:
    """A VAE of whole digits."""
    keras.utils.set_random_seed(setting.seed)
    shape, latent, units = x.shape[1:], setting.latent_dim, tuple(setting.units)
    return kvae.VAE.for_data(
        x,
        latent,
        encoder=networks.mlp(shape, units, "gelu"),
        decoder=networks.mlp((latent,), units, "gelu", role="decoder"),
        likelihood=likelihoods.Bernoulli(shape),
        objective=warm_elbo(x, setting),
        seed=setting.seed,
    )


def for_right_halves(vae: kvae.VAE, data: Any, setting: argparse.Namespace) -> kvae.VAE:
    """The same p(x, z) with an encoder that learns q(z | right)."""
    keras.utils.set_random_seed(setting.seed)
    shape, latent = vae.data_shape, vae.latent_dim
    for part in (vae.decoder, vae.likelihood):
        part.trainable = False
    copy = kvae.VAE(
        networks.mlp(shape, tuple(setting.units), "gelu"),
        vae.decoder,
        posteriors.DiagonalNormal(latent),
        vae.likelihood,
        seed=setting.seed,
    )

    def with_mask(x: Any) -> Any:
        return {"x": x, "mask": HALF.draw(keras.ops.shape(x)[0], shape)}

    fit(copy, data, setting, "val_elbo", "max", with_mask)
    return copy


def warm_elbo(x: np.ndarray, setting: argparse.Namespace) -> ELBO:
    """The bound, its KL raised from 0 over the first quarter: latents stay in use."""
    steps = math.ceil(len(x) / setting.batch_size) * setting.epochs
    return ELBO(schedules.LinearWarmup(max(1, steps // 4)))


def regressor(
    data: Any, setting: argparse.Namespace
) -> Callable[[np.ndarray], np.ndarray]:
    """The decoder's network, given the right half alone: from (N, R) to (N, L)."""
    keras.utils.set_random_seed(setting.seed)
    left, right = halves(data.train[:1])
    hidden = networks.mlp(right.shape[1:], tuple(setting.units), "gelu")
    logits = keras.layers.Dense(left.shape[1])(hidden.output)
    network = keras.Model(hidden.input, logits)

    def nats(y: Any, logits: Any) -> Any:
        return keras.ops.sum(
            keras.ops.binary_crossentropy(y, logits, from_logits=True), axis=-1
        )

    def pairs(x: Any) -> Any:
        half = x.shape[2] // 2
        return tuple(
            keras.ops.reshape(part, (-1, math.prod(part.shape[1:])))
            for part in (x[:, :, half:], x[:, :, :half])
        )

    fit(network, data, setting, "val_loss", "min", pairs, loss=nats)
    return lambda right: 1 / (1 + np.exp(-network.predict(right, 500, verbose=0)))


def neighbors(data: Any, counts: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """The mean left half of the nearest right halves, calibrated on validation digits."""
    left, right = halves(data.train)
    valid = halves(binarize_once(data.validation))
    blank = left.mean(axis=0)
    square = np.square(right).sum(axis=1)

    def ranked(given: np.ndarray) -> np.ndarray:
        gaps = square - 2 * given @ right.T
        rows = np.argpartition(gaps, max(counts), axis=1)[:, : max(counts) + 1]
        order = np.take_along_axis(gaps, rows, axis=1).argsort(axis=1)
        return np.take_along_axis(rows, order, axis=1)

    found, best = ranked(valid[1]), (-np.inf, 0, 0.0)
    for count in counts:
        guess = left[found[:, :count]].mean(axis=1)
        for weight in np.geomspace(1e-3, 0.7, 25):
            p = (1 - weight) * guess + weight * blank
            best = max(best, (log_bernoulli(p, valid[0]).mean(), count, weight))
    _, count, weight = best
    print(f"neighbors: {count}, weight of the mean digit {weight:.3f}", flush=True)
    return lambda given: (
        (1 - weight) * left[ranked(given)[:, :count]].mean(axis=1) + weight * blank
    )


def trained(vae: kvae.VAE, data: Any, setting: argparse.Namespace) -> kvae.VAE:
    """Trains a VAE."""
    fit(vae, data, setting, "val_elbo", "max")
    return vae


def fit(
    model: Any,
    data: Any,
    setting: argparse.Namespace,
    monitor: str,
    mode: str,
    pairs: Callable[[Any], Any] | None = None,
    **compiled: Any,
) -> None:
    """Trains with a cosine schedule; keeps the best epoch on the validation digits."""
    steps = math.ceil(len(data.train) / setting.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(
        setting.learning_rate, steps * setting.epochs, alpha=0.01
    )
    model.compile(
        keras.optimizers.Adam(rate),
        jit_compile=True,
        steps_per_execution=50,
        **compiled,
    )
    train = training_batches(
        data.train, setting.batch_size, setting.seed, binarize=True
    )
    valid: Any = binarize_once(data.validation)
    if pairs is not None:
        train, valid = train.map(pairs), pairs(valid)
    best = keras.callbacks.EarlyStopping(
        monitor, mode=mode, patience=setting.epochs, restore_best_weights=True
    )
    history = model.fit(
        train,
        epochs=setting.epochs,
        steps_per_epoch=steps,
        validation_data=valid if isinstance(valid, tuple) else (valid,),
        validation_batch_size=1000,
        callbacks=[best],
        shuffle=False,  # the data set does that
        verbose=0,
    )
    values = history.history[monitor]
    print(
        f"{type(model).__name__}: {monitor} {values[best.best_epoch]:.2f} at epoch "
        f"{best.best_epoch + 1}, {values[-1]:.2f} at the end",
        flush=True,
    )


# === The numbers ===


def halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat left and right halves, (N, L) and (N, R), of images (N, ..., H, W, C)."""
    half = x.shape[-2] // 2
    left, right = x[..., :half, :], x[..., half:, :]
    return left.reshape(len(x), -1), right.reshape(len(x), -1)


def join(left: np.ndarray, right: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Flat whole images of halves (N, num, ...): (N * num, H * W * C)."""
    height, width, channels = shape
    half = width // 2
    left = left.reshape(-1, height, half, channels)
    right = right.reshape(-1, height, width - half, channels)
    return np.concatenate([left, right], axis=2).reshape(len(left), -1)


def classifier(x: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Trains a judge on real digits: from (N, D) binary pixels to labels."""
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((math.prod(x.shape[1:]),)),
            keras.layers.Dense(512, "gelu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(int(np.max(labels)) + 1),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss, jit_compile=True, steps_per_execution=20)
    epochs = max(6, 60_000 // len(x))
    network.fit(x.reshape(len(x), -1), labels, 200, epochs=epochs, verbose=0)
    return lambda images: network.predict(images, 1000, verbose=0).argmax(axis=1)


def log_bernoulli(p: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Nats of each row of binary pixels."""
    p = np.clip(p.astype("float64"), 1e-7, 1 - 1e-7)
    return (x * np.log(p) + (1 - x) * np.log1p(-p)).sum(axis=1)


def distance(means: np.ndarray) -> float:
    """Mean distance of two completions of a digit: (N, num, L) probabilities."""
    num = means.shape[1]
    pairs = [
        np.linalg.norm(means[:, i] - means[:, j], axis=-1).mean()
        for i in range(num)
        for j in range(i)
    ]
    return float(np.mean(pairs))


def mean_and_error(values: np.ndarray) -> dict[str, float]:
    """A mean over test digits and its standard error."""
    values = np.asarray(values, "float64")
    error = values.std(ddof=1) / math.sqrt(len(values))
    return {"value": float(values.mean()), "standard_error": float(error)}


def table(found: dict[str, Any]) -> str:
    """Lays the result out."""
    setting = found["setting"]
    lines = [
        f"{setting['data']}: log p(left | right) of {found['test']} test digits, nats of "
        f"{found['hidden']} pixels; K = {setting['num_samples']}, seed {setting['seed']}",
        f"{'':20}{'nats':>16}{'behind by':>16}{'agrees, %':>14}{'distance':>10}",
    ]
    for name, row in found["rows"].items():
        line = f"{name:20}"
        for key, unit, form in (
            ("nats", 1, "9.2f"),
            ("lead_of_completing_vae", 1, "9.2f"),
            ("agrees", 100, "7.1f"),
        ):
            if key in row:
                value, error = row[key]["value"], row[key]["standard_error"]
                line += f"{unit * value:{form}} ± {unit * error:4.{form[2:]}}"
        if "distance" in row:
            line += f"{row['distance']:10.2f}"
        lines.append(line)
    real = found["real_digits_agree"]
    lines.append(
        f"{'the digits themselves':52}{100 * real['value']:7.1f} ± "
        f"{100 * real['standard_error']:4.1f}"
    )
    for name, row in found["rows"].items():
        if "estimator" in row:
            lines.append(
                f"{name}: {row['estimator']}; Monte Carlo error "
                f"{row['monte_carlo_error']:.3f}, least effective sample size "
                f"{row['least_effective_sample_size']:.1f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
