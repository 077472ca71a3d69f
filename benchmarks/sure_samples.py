"""In how many samples of a digits run a classifier sees a digit, and is sure of it.

    kvae train digits --out runs/digits
    python benchmarks/sure_samples.py runs/digits

The classifier is a network of one hidden layer, trained on the real training digits alone.
It is sure if it gives one digit a probability above 0.9.
"""

import argparse
import pathlib

import numpy as np
from sklearn.neural_network import MLPClassifier

from kvae.training import load_data, load_model_file
from kvae.training.run.run_directory import RunDirectory

MANY = 2000  # samples, whose share has a standard error below 0.6 %


def sure(classifier: MLPClassifier, x: np.ndarray) -> str:
    """Formats the share of images of which the classifier is sure, with its error."""
    highest = classifier.predict_proba(np.clip(x, 0, 1).reshape(len(x), -1)).max(axis=1)
    share = (highest > 0.9).mean()
    error = np.sqrt(share * (1 - share) / len(x))
    return f"{100 * share:.1f} ± {100 * error:.1f} %"


def main() -> None:
    """Prints one line for each set of images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=pathlib.Path)
    directory = RunDirectory.open(parser.parse_args().run)
    config = directory.read_config()
    data = load_data("digits")
    classifier = MLPClassifier((128,), max_iter=300, random_state=0)
    classifier.fit(data.train.reshape(len(data.train), -1), data.train_labels)
    models = {"": load_model_file(directory.model_file)}
    if directory.trained_file.is_file():
        models[", prior of training"] = directory.load_trained()
    print(f"{'real test digits':42} {sure(classifier, data.test)}")
    for name, vae in models.items():
        shown = vae.sample(64, seed=config.seed)
        print(f"{'the 64 of samples.png' + name:42} {sure(classifier, shown)}")
        many = vae.sample(MANY, seed=config.seed + 1)
        print(f"{f'{MANY} others' + name:42} {sure(classifier, many)}")


if __name__ == "__main__":
    main()
