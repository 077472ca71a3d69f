"""How far samples of a run are from test pictures, as means and as drawn pixels.

    kvae train mnist --epochs 6 --out runs/mnist
    python benchmarks/prior_samples.py runs/mnist --mixtures 400

Prints the Frechet distance of 2000 samples to 2000 test pictures, over that of 2000 other
test pictures to the same ones, in the features of a classifier trained on the test labels:
for reconstructions of those others, the prior of training, the fitted prior, and
mixtures of other sizes.
"""

import argparse
import pathlib
import time

import numpy as np

import kvae
from kvae.evaluation import extract_features, feature_classifier, frechet_distance
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.runner import load_run_data

HALF = 2000


def main() -> None:
    """Prints one line for each prior."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--mixtures", type=int, nargs="*", default=[])
    arguments = parser.parse_args()
    directory = RunDirectory.open(arguments.run)
    data = load_run_data(directory.read_config())
    test, labels = data.test[: 2 * HALF], data.test_labels[: 2 * HALF]
    network = feature_classifier(test, labels, seed=0)
    real = extract_features(network, test[:HALF])

    def distance(x: np.ndarray) -> float:
        return frechet_distance(real, extract_features(network, x.astype("float32")))

    least = distance(test[HALF:])
    trained = directory.load_trained()
    seen = distance(trained.reconstruct(test[HALF:]))
    print(f"{'reconstructions':30} means {seen / least:.2f}")

    def show(name: str, vae: kvae.VAE) -> None:
        means = distance(vae.sample(HALF, seed=0))
        drawn = distance(vae.sample(HALF, seed=0, mean=False))
        print(
            f"{name:30} means {means / least:.2f}, drawn pixels {drawn / least:.2f}",
            flush=True,
        )

    show("prior of training", trained)
    show("fitted prior", directory.load_model())
    x = np.asarray(data.train)
    x = (x > x.max() / 2).astype("float32")
    for size in arguments.mixtures:
        start = time.process_time()
        fitted = kvae.fit_prior(trained, x, "mixture", num_components=size)
        seconds = time.process_time() - start
        show(f"mixture of {size} ({seconds:.0f} s)", fitted)


if __name__ == "__main__":
    main()
