"""Many clients against one served model: wrong answers, latency, batch sizes.

    python benchmarks/serving.py
    python benchmarks/serving.py --requests 10000 --clients 16

Exports the digits model of 28 x 28 pixels with random weights and serves it in a process
of its own: by `tensorflow_model_server` if one is on PATH, else by the loopback service
of the tests, TF Serving's gRPC protocol in Python over the same SavedModel. Every answer
is compared with what Keras computes. Server and clients share this machine, so the
latencies are those of a machine under full load, not of an idle server.

Needs pip install "keras-vae[serving]".
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent import futures
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import kvae
import kvae.export
from kvae.export.serving.client import Client, ServingError

DATA_SHAPE, LATENT_DIM = (28, 28, 1), 16
TOLERANCE = 1e-5  # of a pixel in [0, 1]
DISTINCT = 60
SWEEP = (1, 4, 16, 64, 256)
LOOPBACK = Path(__file__).parents[1] / "tests" / "support" / "loopback_server.py"


def make_model() -> kvae.VAE:
    """A convolutional model of digits with random weights."""
    keras.utils.set_random_seed(0)
    likelihood = kvae.likelihoods.Bernoulli(DATA_SHAPE)
    blank = np.zeros((2, *DATA_SHAPE), np.float32)
    vae = kvae.VAE.for_data(blank, LATENT_DIM, likelihood=likelihood, seed=0)
    vae.build((None, *DATA_SHAPE))
    return vae


def start(base: Path) -> tuple[subprocess.Popen[str], str, str]:
    """Starts a server: its process, address and name."""
    real = shutil.which("tensorflow_model_server")
    if real is None:
        command = [sys.executable, str(LOOPBACK), str(base)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, process.stdout.readline().strip(), "loopback service"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [real, f"--port={port}", "--model_name=digits", f"--model_base_path={base}"],
        text=True,
    )
    return process, f"127.0.0.1:{port}", "tensorflow_model_server"


def questions(vae: kvae.VAE) -> list[tuple[str, dict[str, Any], str, np.ndarray]]:
    """Different requests and their answers: signature, inputs, output, its value."""
    rng = np.random.default_rng(0)
    asked: list[tuple[str, dict[str, Any], str, np.ndarray]] = []
    for index in range(DISTINCT):
        rows = 1 + index % 4
        if index % 2:
            given = {
                "num": rows,
                "seed": np.array([index, 0], np.int32),
                "temperature": 1.0,
            }
            images = vae.sample(rows, seed=index)
            asked.append(("generate", given, "x", np.asarray(images)))
        else:
            z = rng.normal(size=(rows, LATENT_DIM)).astype("float32")
            mean = vae.decode(z).mean().numpy()
            asked.append(("decode", {"z": z}, "mean", mean))
    return asked


def stress(
    address: str, vae: kvae.VAE, requests: int, clients: int
) -> tuple[np.ndarray, int, float]:
    """Asks from many threads, each with a client of its own.

    Returns:
        seconds: of every request.
        wrong: answers beyond the tolerance, of another shape, or missing.
        wall: seconds of all together.
    """
    asked = questions(vae)

    def client(first: int) -> tuple[list[float], int]:
        taken, wrong = [], 0
        with Client(address, "digits", timeout=120) as server:
            for index in range(first, requests, clients):
                signature, given, output, expected = asked[index % DISTINCT]
                began = time.perf_counter()
                try:
                    got = server.call(signature, given)[output]
                except ServingError as error:
                    print(error)
                    wrong += 1
                    continue
                taken.append(time.perf_counter() - began)
                fits = got.shape == expected.shape
                wrong += not (fits and np.abs(got - expected).max() <= TOLERANCE)
        return taken, wrong

    began = time.perf_counter()
    with futures.ThreadPoolExecutor(clients) as pool:
        results = list(pool.map(client, range(clients)))
    wall = time.perf_counter() - began
    seconds = np.concatenate([taken for taken, _ in results])
    return seconds, sum(wrong for _, wrong in results), wall


def sweep(address: str, rounds: int) -> dict[int, float]:
    """One client, sizes in turns: the median seconds of a decode request of each size."""
    rng = np.random.default_rng(1)
    latents = {n: rng.normal(size=(n, LATENT_DIM)).astype("float32") for n in SWEEP}
    taken: dict[int, list[float]] = {n: [] for n in SWEEP}
    with Client(address, "digits", timeout=120) as server:
        for index in range(rounds + 3):
            for size, z in latents.items():
                began = time.perf_counter()
                server.decode(z)
                if index >= 3:  # the first are slower: graphs are specialized
                    taken[size].append(time.perf_counter() - began)
    return {size: float(np.median(seconds)) for size, seconds in taken.items()}


def main() -> None:
    """Exports, serves, measures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    vae = make_model()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "digits"
        kvae.export.saved_model(vae, base, allow_untrained=True)
        process, address, name = start(base)
        try:
            wait_for(address, process)
            seconds, wrong, wall = stress(
                address, vae, arguments.requests, arguments.clients
            )
            medians = sweep(address, arguments.rounds)
        finally:
            process.terminate()
            process.wait()
    print(
        f"{name}, {arguments.clients} clients, {arguments.requests} requests in turn:"
    )
    print(
        f"decode and generate of 1 to 4 images, {arguments.requests / wall:.0f} per s"
    )
    print(f"wrong or missing answers: {wrong}")
    load = os.getloadavg()[0]
    print(f"load of the machine over the last minute: {load:.1f}\n")
    print("| percentile | milliseconds |\n|---|---|")
    for percentile in (50, 90, 95, 99, 99.9, 100):
        value = 1e3 * np.percentile(seconds, percentile)
        print(f"| {percentile} | {value:.1f} |")
    print(f"\none client, median of {arguments.rounds} rounds in turns\n")
    print("| batch | milliseconds | images per second |\n|---|---|---|")
    for size, median in medians.items():
        print(f"| {size} | {1e3 * median:.1f} | {size / median:.0f} |")
    if wrong:
        raise SystemExit(1)


def wait_for(address: str, process: subprocess.Popen[str]) -> None:
    """Returns once the server answers."""
    with Client(address, "digits", timeout=5) as client:
        for _ in range(120):
            try:
                client.generate(1)
                return
            except ServingError as error:
                if process.poll() is not None:
                    raise RuntimeError(f"the server ended: {error}") from error
                time.sleep(0.5)
    raise RuntimeError("the server did not answer in 60 s")


if __name__ == "__main__":
    main()
