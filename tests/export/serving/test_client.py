"""The client, against the official service definition on the loopback interface.

The same tests run against a real `tensorflow_model_server` where one is on PATH.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import kvae.export
from kvae.detection import Detector
from kvae.export.checks.verification import saved_model_runner
from kvae.export.serving.warmup import write_server_files, write_warmup

pytest.importorskip("tensorflow_serving.apis", reason="needs the extra `serving`")
from support import loopback_server

from kvae.export.serving.client import Client, ServingError

pytestmark = pytest.mark.slow
SERVER = shutil.which("tensorflow_model_server")


class ModelServer:
    """The real one."""

    def __init__(self, base: Path) -> None:
        ports = [free_port(), free_port()]
        assert SERVER is not None
        self.process = subprocess.Popen(
            [
                SERVER,
                f"--port={ports[0]}",
                f"--rest_api_port={ports[1]}",
                "--model_name=digits",
                f"--model_base_path={base}",
            ]
        )
        self.addresses = {
            "grpc": f"127.0.0.1:{ports[0]}",
            "rest": f"http://127.0.0.1:{ports[1]}",
        }
        with Client(self.addresses["grpc"], "digits", timeout=1) as client:
            for _ in range(60):
                try:
                    client.generate(1)
                    return
                except ServingError:
                    time.sleep(0.5)
        self.stop()
        raise RuntimeError("tensorflow_model_server did not come up in 30 s")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def detector(vae: Any, digits: np.ndarray) -> Detector:
    return Detector(vae, "elbo").calibrate(digits[:100])


@pytest.fixture(scope="module")
def base(
    vae: Any, detector: Detector, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    base = tmp_path_factory.mktemp("served") / "digits"
    kvae.export.saved_model(vae, base, detector=detector, alpha=0.05)
    return base


@pytest.fixture(scope="module", params=["loopback", "tensorflow_model_server"])
def server(request: pytest.FixtureRequest, base: Path) -> Iterator[Any]:
    if request.param == "loopback":
        server: Any = loopback_server.Loopback(base)
    elif SERVER is None:
        pytest.skip("no tensorflow_model_server on PATH")
    else:
        server = ModelServer(base)
    yield server
    server.stop()


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_client_gets_what_the_model_computes(
    server: Any, protocol: str, vae: Any, digits: np.ndarray
) -> None:
    x = digits[:3]
    with Client(server.addresses[protocol], "digits") as client:
        images = client.generate(5, seed=11)
        np.testing.assert_allclose(images["x"], vae.sample(5, seed=11), atol=1e-6)
        mean = client.decode(images["z"])["mean"]
        np.testing.assert_allclose(mean, images["x"], atol=1e-6)
        loc = client.encode(x)["loc"]
        np.testing.assert_allclose(loc, vae.encode(x).mean(), atol=1e-6)
        np.testing.assert_allclose(
            client.reconstruct(x)["x"], vae.reconstruct(x), atol=1e-6
        )
        elbo = client.score(x, seed=4)["elbo"]
        np.testing.assert_allclose(elbo, vae.elbo(x, seed=4), rtol=1e-5)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_client_gets_the_decisions_of_the_detector(
    server: Any, protocol: str, detector: Detector, digits: np.ndarray
) -> None:
    x = np.concatenate([digits[400:404], 1 - digits[400:402]])
    wanted = detector.detect(x, 0.05, attribution=True)
    assert 0 < wanted.num_anomalies < len(x)
    with Client(server.addresses[protocol], "digits") as client:
        found = client.detect(x)
    np.testing.assert_array_equal(found["is_anomaly"], wanted.is_anomaly)
    np.testing.assert_allclose(found["score"], wanted.score, rtol=1e-4)
    np.testing.assert_allclose(found["p_value"], wanted.p_value, atol=1e-6)
    np.testing.assert_allclose(found["attribution"], wanted.attribution, atol=1e-3)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_refusals_reach_the_caller(server: Any, protocol: str) -> None:
    with Client(server.addresses[protocol], "digits") as client:
        with pytest.raises(
            ServingError, match="(?s)generate of model 'digits'.*num must be"
        ):
            client.generate(0)
        with pytest.raises(ServingError, match="(?s)num must be from 1"):
            client.generate(10**9)
        with pytest.raises(ServingError, match="z must be finite"):
            client.decode(np.full((1, 5), np.nan))
        with pytest.raises(
            TypeError, match="seed must be an integer; received dtype float"
        ):
            client.call("score", {"x": np.zeros((1, 8, 8, 1)), "seed": [0.5, 1.0]})
        for big in ({"num": 2**32 + 1}, {"num": 1, "seed": 2**32}):
            with pytest.raises(
                ValueError, match=r"must fit into 32 bits; received .*42949"
            ):
                client.generate(**big)


def test_many_clients_get_their_own_answers(server: Any, vae: Any) -> None:
    expected = {seed: vae.sample(2, seed=seed) for seed in range(5)}

    def ask(index: int) -> float:
        seed = index % 5
        with Client(server.addresses["grpc"], "digits") as client:
            got = client.generate(2, seed=seed)["x"]
        return float(np.abs(got - expected[seed]).max())

    with futures.ThreadPoolExecutor(8) as pool:
        assert max(pool.map(ask, range(100))) < 1e-5


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_absent_server_is_named(scheme: str) -> None:
    address = f"{scheme}127.0.0.1:{free_port()}"
    with Client(address, "digits", timeout=2) as client:
        with pytest.raises(ServingError, match=f"decode of model.*{address} failed"):
            client.decode(np.zeros((1, 5)))


def test_versions_count_up_and_appear_whole(vae: Any, base: Path) -> None:
    assert kvae.export.saved_model(vae, base, version=7).name == "7"
    assert kvae.export.saved_model(vae, base).name == "8"
    assert sorted(p.name for p in base.iterdir()) == ["1", "7", "8"]
    with pytest.raises(FileExistsError, match="Leave out version"):
        kvae.export.saved_model(vae, base, version=7)
    with pytest.raises(ValueError, match="version must be a positive integer"):
        kvae.export.saved_model(vae, base, version=0)


@contextlib.contextmanager
def process_serving(base: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A loopback server in a process of its own, which can be killed; its address."""
    command = [sys.executable, loopback_server.__file__, str(base)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_killed_server_comes_back_with_the_new_version(
    vae: Any, tmp_path: Path
) -> None:
    base = tmp_path / "digits"
    kvae.export.saved_model(vae, base)
    z = np.random.default_rng(0).normal(size=(2, 5)).astype("float32")
    first, changed = (model.decode(z).mean().numpy() for model in (vae, other(vae)))
    assert np.abs(changed - first).max() > 0.01
    with process_serving(base) as (process, address):
        with Client(address, "digits") as client:
            np.testing.assert_allclose(client.decode(z)["mean"], first, atol=1e-6)
            kvae.export.saved_model(other(vae), base)
            # What a killed export leaves must not be found by the next server.
            (base / ".3.partial.x").mkdir()
            np.testing.assert_allclose(client.decode(z)["mean"], first, atol=1e-6)
            process.kill()
            process.wait()
            with pytest.raises(ServingError, match="decode of model 'digits'.*UNAVAIL"):
                client.decode(z)
    again = loopback_server.Loopback(base)
    try:
        address = again.addresses["grpc"]
        with Client(address, "digits") as client:
            np.testing.assert_allclose(client.decode(z)["mean"], changed, atol=1e-6)
        with Client(address, "digits", version=1) as client:
            with pytest.raises(ServingError, match="NOT_FOUND"):
                client.decode(z)
    finally:
        again.stop()


def other(vae: Any) -> Any:
    """The same model with other weights."""
    copy = kvae.VAE.from_config(vae.get_config())
    copy.build((None, *vae.data_shape))
    copy.set_weights([0.5 * np.asarray(weight) for weight in vae.get_weights()])
    return copy


def test_failed_write_leaves_no_version(
    vae: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(endpoints: Any, path: Path) -> None:
        (path / "saved_model.pb").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kvae.export.targets.saved_model.write_archive", fail)
    with pytest.raises(OSError, match="the disk is full"):
        kvae.export.saved_model(vae, tmp_path / "digits")
    assert list((tmp_path / "digits").iterdir()) == []


def test_warmup_requests_replay(vae: Any, base: Path, tmp_path: Path) -> None:
    from tensorflow_serving.apis import prediction_log_pb2

    version = tmp_path / "1"
    shutil.copytree(base / "1", version)
    requests = {"decode": {"z": np.zeros((2, 5), np.float32)}}
    path = write_warmup(version, "digits", requests)
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    log = prediction_log_pb2.PredictionLog.FromString(records[0]).predict_log
    spec = log.request.model_spec
    assert (len(records), spec.name, spec.signature_name) == (1, "digits", "decode")
    given = {k: tf.make_ndarray(v) for k, v in log.request.inputs.items()}
    run = saved_model_runner(version)
    expected = vae.decode(requests["decode"]["z"]).mean()
    np.testing.assert_allclose(run("decode", given)["mean"], expected, atol=1e-6)


def test_configuration_is_what_the_server_parses(tmp_path: Path) -> None:
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    write_server_files(tmp_path, "digits")
    models = text_format.Parse(
        (tmp_path / "models.config").read_text(),
        model_server_config_pb2.ModelServerConfig(),
    )
    assert models.model_config_list.config[0].base_path == "/models/digits"
    # The messages of the other two files are not in the Python package.
    assert "enable: true" in (tmp_path / "monitoring.config").read_text()
    assert "max_batch_size" in (tmp_path / "batching_parameters.txt").read_text()
