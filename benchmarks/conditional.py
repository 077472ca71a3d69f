"""Does a label help, and does a sample show the digit that was asked for?

    python benchmarks/conditional.py --out conditional.json            # bundled digits
    python benchmarks/conditional.py --data mnist --data-dir DIR --classifier cnn
        --latent-dim 32 --epochs 15 --components 30 --num-samples 1000 --out mnist.json

Trains one model with labels and one without on the same pixels, drawn again each epoch:
the same networks but for the label, batches, epochs and learning rates. With
`--components` the prior is a mixture of normals, that many for each label, and as many in
all for the model without; after training it is fitted again to the latents of the training
examples (`kvae.priors.fit_mixture`).

Measures the importance-weighted bound on log p(x|c) and log p(x) of the same test
examples, so their difference comes with a paired standard error. Then draws the same
number of samples of each class and asks classifiers that were trained on real training
examples alone. Each judges what it learned from: one gray levels, the means of p(x|z,c);
one binary pixels, draws from p(x|z,c). Beside it stands how often it is right about real
test examples.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import kvae
from kvae import evaluation
from kvae.training import binarize_once, load_data, training_batches


def build(x: np.ndarray, labels: np.ndarray | None, setting: Any, classes: int) -> Any:
    """Makes the model with labels, or the same one without."""
    latent_dim, components = setting.latent_dim, setting.components
    keras.utils.set_random_seed(0)
    parts: dict[str, Any] = {"likelihood": kvae.likelihoods.Bernoulli(x.shape[1:])}
    if components:
        if labels is None:
            parts["prior"] = kvae.priors.GaussianMixture(
                latent_dim, classes * components
            )
        else:
            parts["prior"] = kvae.priors.ConditionalGaussianMixture(
                latent_dim, components, kvae.networks.OneHot(classes)
            )
        warm_up = kvae.schedules.LinearWarmup(3 * -(-len(x) // setting.batch_size))
        parts["objective"] = kvae.objectives.ELBO(kl="sampled", beta=warm_up)
    return kvae.VAE.for_data(x, latent_dim, labels, seed=0, **parts)


def fit(vae: Any, x: np.ndarray, labels: np.ndarray | None, setting: Any) -> float:
    """Trains a model; returns the seconds it took."""
    steps = -(-len(x) // setting.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(
        setting.learning_rate, steps * setting.epochs, alpha=0.01
    )
    vae.compile(keras.optimizers.Adam(rate), steps_per_execution=min(10, steps))
    began = time.monotonic()
    vae.fit(
        training_batches(x, setting.batch_size, 0, binarize=True, condition=labels),
        epochs=setting.epochs,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
    )
    return time.monotonic() - began


def with_fitted_prior(
    vae: Any, x: np.ndarray, labels: np.ndarray | None, components: int
) -> Any:
    """Replaces the prior by a mixture of where training examples are in the latents."""
    drawn = binarize_once(x, seed=2)
    inputs = drawn if labels is None else {"x": drawn, "condition": labels}
    prior = kvae.priors.fit_mixture(vae, inputs, components)
    return vae.with_prior(prior, kvae.objectives.ELBO(kl="sampled"))


def classifier(x: np.ndarray, labels: np.ndarray, name: str) -> Any:
    """Trains a judge on real examples: a support vector machine, or a small CNN.

    Returns:
        predict: from (N, ...) binary pixels to (N,) labels.
    """
    if name == "svm":
        from sklearn.svm import SVC

        machine = SVC(C=10.0).fit(x.reshape(len(x), -1), labels)
        return lambda images: machine.predict(images.reshape(len(images), -1))
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.Conv2D(64, 3, 2, activation="relu"),
            keras.layers.Conv2D(64, 3, 2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(int(labels.max()) + 1),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss)
    network.fit(x, labels, batch_size=128, epochs=6, verbose=0)
    return lambda images: network.predict(images, 500, verbose=0).argmax(axis=-1)


def share(right: np.ndarray) -> dict[str, float | int]:
    """A proportion with its binomial standard error."""
    value = float(right.mean())
    error = float(np.sqrt(value * (1 - value) / len(right)))
    return {"value": value, "standard_error": error, "num": len(right)}


def judge(
    vae: Any, predict: Any, num: int, mean: bool, seed: int = 0
) -> dict[str, Any]:
    """Asks for the same number of each class, and how many of them are seen as that."""
    classes = np.array(vae.condition.classes)
    asked = np.repeat(classes, -(-num // len(classes)))[:num]
    right = predict(vae.sample(num, seed, asked, mean=mean)) == asked
    per_class = {str(c): float(right[asked == c].mean()) for c in classes}
    return {**share(right), "per_class": per_class}


def measure(setting: Any) -> dict[str, Any]:
    """Runs the whole comparison."""
    data = load_data(setting.data, setting.data_dir)
    labels = {
        part: getattr(data, f"{part}_labels").astype("int32")
        for part in ("train", "test")
    }
    test = binarize_once(data.test)[: setting.examples]
    test_labels = labels["test"][: setting.examples]
    found: dict[str, Any] = {"setting": vars(setting).copy(), "test": len(test)}
    found["setting"].pop("out")
    each = {}
    for name, given in (("conditional", labels["train"]), ("unconditional", None)):
        vae = build(data.train, given, setting, int(labels["train"].max()) + 1)
        seconds = fit(vae, data.train, given, setting)
        if setting.components:
            num = vae.prior.num_components
            vae = with_fitted_prior(vae, data.train, given, num)
        inputs = test if given is None else {"x": test, "condition": test_labels}
        bound = evaluation.log_likelihood(vae, inputs, setting.num_samples)
        each[name] = bound.per_example
        found[name] = {
            "nll": -bound.log_likelihood.value,
            "standard_error": bound.log_likelihood.standard_error,
            "estimator": bound.estimator,
            "monte_carlo_error": bound.monte_carlo_error,
            "warning": bound.warning,
            "training_seconds": seconds,
            "parameters": vae.count_params(),
        }
        if given is not None:
            conditional = vae
    gain = each["conditional"] - each["unconditional"]
    found["gain"] = {
        "value": float(gain.mean()),
        "standard_error": float(gain.std(ddof=1) / np.sqrt(len(gain))),
        "unit": "nats per example, paired",
    }
    real = {
        "gray": (data.train, data.test),
        "binary": (binarize_once(data.train, seed=1), binarize_once(data.test)),
    }
    found["classifiers"] = {}
    for pixels, (train, unseen) in real.items():
        predict = classifier(train, labels["train"], setting.classifier)
        found["classifiers"][pixels] = {
            "on_real_test": share(predict(unseen) == labels["test"]),
            "on_samples": judge(
                conditional, predict, setting.samples, mean=pixels == "gray"
            ),
        }
    return found


def main() -> None:
    """Reads the arguments, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-dir")
    parser.add_argument("--latent-dim", type=int, default=16)
    parser.add_argument("--components", type=int, default=0, help="of the prior")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--num-samples", type=int, default=5000, help="K of the bound")
    parser.add_argument("--examples", type=int, default=1000, help="of the test set")
    parser.add_argument(
        "--samples", type=int, default=10_000, help="for the classifier"
    )
    parser.add_argument("--classifier", choices=["svm", "cnn"], default="svm")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    setting = parser.parse_args()
    found = measure(setting)
    setting.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name in ("conditional", "unconditional"):
        row = found[name]
        print(f"{name:14} NLL {row['nll']:8.3f} ± {row['standard_error']:.3f} nats")
        print(f"{'':14} {row['estimator']}; {row['warning'] or 'no warning'}")
    gain = found["gain"]
    print(f"{'gain':14} {gain['value']:12.3f} ± {gain['standard_error']:.3f} nats")
    for pixels, seen in found["classifiers"].items():
        for name, row in seen.items():
            error = 100 * row["standard_error"]
            print(
                f"{setting.classifier}, {pixels} pixels, {name}: "
                f"{100 * row['value']:.2f} ± {error:.2f} % right of {row['num']}"
            )


if __name__ == "__main__":
    main()
