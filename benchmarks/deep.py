"""Deep hierarchies on digits and color pictures, from one command that can be stopped.

    python benchmarks/deep.py static --data-dir DIR --out deep --epochs 38 65
    python benchmarks/deep.py static --masked --data-dir DIR --out masked --epochs 22 \
        --rate 1.5e-3 --start deep/static/round_1/model.weights.h5
    python benchmarks/deep.py dynamic --data-dir DIR --out deep --epochs 22 \
        --rate 1.5e-3 --start deep/static/round_1/model.weights.h5
    python benchmarks/deep.py colors --data emoji64.npz --out emoji
    python benchmarks/deep.py static --data-dir DIR --out less --epochs 6 --images 0 \
        --without free_bits

Training resumes from its last checkpoint and measuring from its last block of images.
Several numbers of epochs are so many rounds: each begins with the weights of the one
before and a high rate. The number is the importance-weighted bound on log p(x) on the test
images; its standard error is that of the mean over images. The pictures are samples and
what each level knows. `--masked` puts a PixelCNN on top; with `--start`, a model begins
with the weights of one without masks. `--data FILE` reads static pixels from an .npz file
of packed bits ("train", "valid", "test") in place of TFDS, and colors from one of
"x_train" and "x_test". Beside the bits per dimension of colors are those of PNG and WebP
files, and of JPEG XL files if the program cjxl is installed (Debian's libjxl-tools).
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import kvae
from kvae import evaluation, likelihoods, objectives, presets, schedules
from kvae.reports.pictures import image_grid, picture_png
from kvae.training import (
    Checkpoint,
    StopOnDivergence,
    binarize_once,
    load_data,
    training_batches,
)

SHAPE = (28, 28, 1)
BITS = math.log(2)  # nats
BLOCK = 100  # test images measured between two savings
INGREDIENTS = ("sizes", "relative_posterior", "free_bits", "warm_up", "average")
_COLORS = ("x_train", "x_test")


def load(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Training pixels, probabilities where they are drawn again, and binary test pixels."""
    if options.pixels == "colors":
        found = np.load(options.data)
        train, test = (found[key].astype("float32") / 255 for key in _COLORS)
        return train, test
    if options.data is not None:
        packed = np.load(options.data)
        rows = [
            np.unpackbits(packed[name], axis=1).reshape(-1, *SHAPE).astype("float32")
            for name in ("train", "valid", "test")
        ]
        return np.concatenate(rows[:2]), rows[2]
    if options.pixels == "static":
        loaded = load_data("binarized_mnist", options.data_dir)
        return np.concatenate([loaded.train, loaded.validation]), loaded.test
    loaded = load_data("mnist", options.data_dir)
    return loaded.train, binarize_once(loaded.test)


def build(options: argparse.Namespace, x: np.ndarray, warmup: int) -> kvae.VAE:
    """Makes the model; the rate comes in over the first `warmup` steps."""
    keras.utils.set_random_seed(options.seed)
    shape = x.shape[1:]
    likelihood: Any = likelihoods.Bernoulli(shape)
    levels = {1: 1, 4: 2, 7: 3}
    channels: tuple[int, ...] = (16, 8, 4)
    width: tuple[int, ...] = (64, 64, 64)
    if options.pixels == "colors":
        likelihood = likelihoods.DiscretizedLogisticMixture(shape)
        levels, channels = {1: 1, 4: 2, 8: 3, 16: 2}, (16, 8, 8, 4)
        width = (64, 64, 64, 32)
    if options.masked:
        # Levels often repeat or continue those beside them.
        linear = options.pixels == "colors"
        likelihood = likelihoods.PixelCNN(likelihood, width=24, linear=linear)
    if options.one_level:
        return kvae.VAE.for_data(
            x[:256],
            latent_dim=(shape[0] // 4, shape[1] // 4, 4),
            likelihood=likelihood,
            seed=options.seed,
        )
    without = options.without
    if without == "sizes":  # only the largest maps, with all levels
        levels = {max(levels): sum(levels.values())}
        channels, width = channels[-1:], width[-1:]
    objective: Any = objectives.ELBO(
        1.0 if without == "warm_up" else schedules.LinearWarmup(warmup)
    )
    if without != "free_bits":
        objective = objectives.FreeBits(objective, floor=0.1, group="level")
    return presets.deep_vae(
        x[:256],
        levels,
        width=width,
        latent_channels=channels,
        residual=without != "relative_posterior",
        likelihood=likelihood,
        objective=objective,
        seed=options.seed,
    )


def make_optimizer(options: argparse.Namespace, steps: int) -> Any:
    """Makes the optimizer; its average of the weights is what `fit` ends with."""
    rate = keras.optimizers.schedules.CosineDecay(
        0.1 * options.rate,
        steps,
        alpha=0.01,
        warmup_target=options.rate,
        warmup_steps=min(500, steps // 10),
    )
    average = {
        "use_ema": options.without != "average",
        "ema_momentum": max(0.0, 1.0 - 20.0 / steps),
        "weight_decay": options.decay,
    }
    if options.optimizer == "adam":
        return keras.optimizers.AdamW(rate, **average)
    return keras.optimizers.Muon(
        rate,
        ns_steps=3,
        adam_weight_decay=None,
        exclude_layers=["logits", "start", "context"],
        **average,
    )


def train(options: argparse.Namespace, x: np.ndarray) -> kvae.VAE:
    """Trains round by round, from the last checkpoint if there is one."""
    each = math.ceil(len(x) / options.batch)
    before: pathlib.Path | None = None
    for number, epochs in enumerate(options.epochs):
        folder = options.folder / f"round_{number}"
        # The rate comes in over the first twentieth of the first round alone.
        started = bool(number) or options.start is not None
        vae = build(options, x, 1 if started else max(1, each * epochs // 20))
        file = folder / "model.weights.h5"
        if file.exists():
            before = file
            continue
        if before is not None:
            vae.load_weights(before)
        elif options.start is not None:
            start_from(options, vae, x)
        train_round(options, vae, x, folder, epochs)
        vae.save_weights(file)
        before = file
    vae.load_weights(before)
    return vae


def start_from(options: argparse.Namespace, vae: kvae.VAE, x: np.ndarray) -> None:
    """Gives a model the weights of one without masks.

    A masked model then has nearly its numbers: two channels of the context are the
    trained logits and their negative, of which silu(t) - silu(-t) = t makes the logits
    again. All that is new begins small.
    """
    if not options.masked:
        vae.load_weights(options.start)
        return
    plain = build(argparse.Namespace(**{**vars(options), "masked": False}), x, 1)
    plain.load_weights(options.start)
    for part in ("encoder", "decoder", "posterior"):
        getattr(vae, part).set_weights(getattr(plain, part).get_weights())
    kernel, bias = (w.numpy() for w in plain.likelihood.weights)
    for weight in vae.likelihood.weights:
        value = weight.numpy()
        if "/context/" in weight.path and weight.name == "kernel":
            value *= 0.3 * np.linalg.norm(kernel) / np.linalg.norm(value, axis=2).mean()
            value[..., 0], value[..., 1] = kernel[..., 0], -kernel[..., 0]
        elif "/context/" in weight.path:
            value[0], value[1] = bias[0], -bias[0]
        else:
            value *= 0.1
            if "/logits/" in weight.path and weight.name == "kernel":
                value[..., 0, 0], value[..., 1, 0] = 1.0, -1.0
        weight.assign(value)


def train_round(
    options: argparse.Namespace,
    vae: kvae.VAE,
    x: np.ndarray,
    folder: pathlib.Path,
    epochs: int,
) -> None:
    """Trains for some epochs; ends the program if it was stopped before."""
    each = math.ceil(len(x) / options.batch)
    # Far above what is usual: the first gradients of colors have norms of 40 000.
    limit = 1e6 if options.pixels == "colors" else 1e3
    vae.compile(make_optimizer(options, each * epochs), max_gradient_norm=limit)

    def batches_from(first: int) -> tf.data.Dataset:
        drawn = options.pixels == "dynamic"
        return training_batches(
            x, options.batch, options.seed, binarize=drawn, first_batch=first
        )

    began = time.process_time()
    history = vae.fit(
        batches_from(0),
        epochs=epochs,
        steps_per_epoch=each,
        callbacks=[
            StopOnDivergence(),
            Checkpoint(folder, "2 minutes", batches_from=batches_from),
        ],
        shuffle=False,
        verbose=2,
    )
    print(f"{time.process_time() - began:.0f} s of processor time", flush=True)
    if len(history.history["elbo"]) < epochs:
        raise SystemExit("Stopped; run the same command to resume.")


def measure(options: argparse.Namespace, vae: kvae.VAE, every: np.ndarray) -> None:
    """Measures from the last block of images that is there.

    The ELBO is of all test images. Of fewer, log p(x) is corrected by how their ELBO
    differs from that of all, which leaves a quarter of the error.
    """
    # The static test images are in the order of their classes. More images begin with
    # the same ones, so that what is measured is kept.
    chosen = np.random.default_rng(0).permutation(len(every))[: options.images]
    bound, test = vae.elbo(every), every[chosen]
    print(f"ELBO {bound.mean():.3f} of {len(every)} test images", flush=True)
    result: dict[str, Any] = {"elbo": float(bound.mean())}
    if options.pixels == "colors":
        result["bits_per_dim_of_elbo"] = -float(bound.mean()) / BITS / every[0].size
        result |= file_bits(test if options.images else every)
    if not options.images:
        finish(options, result)
        return
    file = options.folder / f"values-{options.latents}.npy"
    values = np.load(file) if file.exists() else np.zeros(0)
    while len(values) < len(test):
        first = len(values)
        positions = np.arange(first, min(first + BLOCK, len(test)))
        found = evaluation.log_likelihood(
            vae, test[positions], options.latents, positions=positions
        )
        values = np.concatenate([values, found.per_example])
        np.save(file, values)
        print(len(values), f"{-values.mean():.3f}", flush=True)
    more = values - bound[chosen]
    nll = -float(bound.mean() + more.mean())
    error = more.std(ddof=1) / math.sqrt(len(values))
    result |= {
        "bits_per_dim": nll / BITS / test[0].size,
        "nll": nll,
        "nll_of_these_images": -float(values.mean()),
        "standard_error_of_choosing_images": float(error),
        "standard_error": float(bound.std(ddof=1) / math.sqrt(len(every))),
        "latents": options.latents,
        "images": len(values),
    }
    finish(options, result)


def finish(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Prints the result, and keeps it."""
    text = json.dumps(result)
    print(text, flush=True)
    (options.folder / "result.json").write_text(text + "\n", encoding="utf-8")


def draw(options: argparse.Namespace, vae: kvae.VAE, test: np.ndarray) -> None:
    """Draws samples, and what each level knows of some test images."""
    samples = np.asarray(vae.sample(60, seed=0)).reshape(5, 12, *test.shape[1:])
    some = test[:: len(test) // 12 + 7][:12]
    known = (
        {"all": vae.reconstruct(some)}
        if options.one_level
        else evaluation.level_reconstructions(vae, some)
    )
    levels = np.stack([some, *(np.asarray(rows) for rows in known.values())])
    for name, rows in {"samples": samples, "levels": levels}.items():
        png = picture_png(image_grid(rows), width=700)
        (options.folder / f"{name}.png").write_bytes(png)


def file_bits(test: np.ndarray) -> dict[str, float]:
    """Bits per dimension of lossless files, header and all: by Pillow, and by cjxl."""
    from PIL import Image

    options: dict[str, dict[str, Any]] = {
        "PNG": {"optimize": True},
        "WebP": {"lossless": True, "method": 6, "quality": 100},
    }
    jpeg_xl = shutil.which("cjxl")
    totals = dict.fromkeys([*options, *(["JPEG_XL"] if jpeg_xl else [])], 0)
    with tempfile.TemporaryDirectory() as folder:
        pixels, packed = pathlib.Path(folder, "x.ppm"), pathlib.Path(folder, "x.jxl")
        for x in np.uint8(np.rint(255 * test)):
            picture = Image.fromarray(x)
            for name, settings in options.items():
                file = io.BytesIO()
                picture.save(file, name, **settings)
                totals[name] += len(file.getvalue())
            if jpeg_xl:
                picture.save(pixels)
                command = [jpeg_xl, "--distance=0", "--effort=9", pixels, packed]
                subprocess.run(command, check=True, capture_output=True)
                totals["JPEG_XL"] += packed.stat().st_size
    return {f"bits_per_dim_{name}": 8 * n / test.size for name, n in totals.items()}


def main() -> None:
    """Trains and measures what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pixels", choices=["static", "dynamic", "colors"])
    parser.add_argument("--masked", action="store_true", help="a PixelCNN on top")
    parser.add_argument(
        "--one-level", action="store_true", help="one map of latents, to compare with"
    )
    parser.add_argument(
        "--start", type=pathlib.Path, help="weights of a model without --masked"
    )
    parser.add_argument("--data-dir", help="of TensorFlow Datasets")
    parser.add_argument(
        "--data", help="an .npz file, of packed static pixels or of colors"
    )
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument(
        "--epochs", type=int, nargs="+", default=[64], help="of each round"
    )
    parser.add_argument("--optimizer", choices=["adam", "muon"], default="muon")
    parser.add_argument("--rate", type=float, default=2.5e-3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--decay", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latents", type=int, default=5000)
    parser.add_argument(
        "--images", type=int, default=10_000, help="to measure on; 0 for the ELBO alone"
    )
    parser.add_argument("--without", choices=INGREDIENTS, help="an ingredient")
    options = parser.parse_args()
    options.folder = options.out / options.pixels
    x, test = load(options)
    vae = train(options, x)
    measure(options, vae, test)
    draw(options, vae, test)


if __name__ == "__main__":
    main()
