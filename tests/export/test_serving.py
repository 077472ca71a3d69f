"""The client, against the official service definition on the loopback interface.

The same tests run against a real `tensorflow_model_server` where one is on PATH.
"""

from __future__ import annotations

import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import kvae.export
from kvae.export.verification import saved_model_runner
from kvae.export.warmup import write_server_files, write_warmup

pytest.importorskip("tensorflow_serving.apis", reason="needs the extra `serving`")
from kvae.export.serving import Client, ServingError

SERVER = shutil.which("tensorflow_model_server")


class Loopback:
    """Both protocols over one SavedModel, in this process."""

    def __init__(self, base: Path) -> None:
        import grpc
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        newest = max(int(p.name) for p in base.iterdir() if p.name.isdigit())
        run = saved_model_runner(base / str(newest))

        class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
            def Predict(self, request: Any, context: Any) -> Any:
                if request.model_spec.name != "digits":
                    context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found")
                given = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
                try:
                    outputs = run(request.model_spec.signature_name, given)
                except tf.errors.InvalidArgumentError as error:
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
                answer = predict_pb2.PredictResponse()
                for key, value in outputs.items():
                    answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
                return answer

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length))
                given = {
                    k: np.asarray(v, np.int32 if k in ("num", "seed") else np.float32)
                    for k, v in body["inputs"].items()
                }
                try:
                    outputs = run(body["signature_name"], given)
                    lists = {k: v.tolist() for k, v in outputs.items()}
                    only = next(iter(lists.values())) if len(lists) == 1 else lists
                    status, content = 200, {"outputs": only}
                except tf.errors.InvalidArgumentError as error:
                    status, content = 400, {"error": error.message}
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *args: Any) -> None:
                pass

        self.grpc = grpc.server(futures.ThreadPoolExecutor(8))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            Service(), self.grpc
        )
        port = self.grpc.add_insecure_port("127.0.0.1:0")
        self.grpc.start()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.addresses = {
            "grpc": f"127.0.0.1:{port}",
            "rest": f"http://127.0.0.1:{self.http.server_address[1]}",
        }

    def stop(self) -> None:
        self.grpc.stop(None).wait()
        self.http.shutdown()
        self.http.server_close()


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
def base(vae: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("served") / "digits"
    kvae.export.saved_model(vae, base)
    return base


@pytest.fixture(scope="module", params=["loopback", "tensorflow_model_server"])
def server(request: pytest.FixtureRequest, base: Path) -> Iterator[Any]:
    if request.param == "loopback":
        server: Any = Loopback(base)
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
def test_refusals_reach_the_caller(server: Any, protocol: str) -> None:
    with Client(server.addresses[protocol], "digits") as client:
        with pytest.raises(
            ServingError, match="(?s)generate of model 'digits'.*num must be"
        ):
            client.generate(0)
        with pytest.raises(TypeError, match="seed must be whole; received dtype float"):
            client.call("score", {"x": np.zeros((1, 8, 8, 1)), "seed": [0.5, 1.0]})


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
    with pytest.raises(FileExistsError, match="Leave version out"):
        kvae.export.saved_model(vae, base, version=7)
    with pytest.raises(ValueError, match="version must be a positive integer"):
        kvae.export.saved_model(vae, base, version=0)


def test_failed_write_leaves_no_version(
    vae: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(endpoints: Any, path: Path) -> None:
        (path / "saved_model.pb").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kvae.export.servable.write_archive", fail)
    with pytest.raises(OSError, match="No space left"):
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
