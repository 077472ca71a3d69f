"""The page of an export, in one file: what is served, to whom, what its files compute."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kvae
import kvae.export
from kvae.detection import Detector
from kvae.evaluation.latents import latent_usage
from kvae.export.checks.verification import litert_runner, read_manifest, sha256
from kvae.export.explore import Explorer, open_export
from kvae.export.explore import explorer as explorer_module
from kvae.export.explore import server as server_module
from kvae.export.explore.litertjs import PACKAGES, find_packages
from kvae.export.explore.server import PageServer
from kvae.model.endpoints import decode
from kvae.training.commands import verbs
from kvae_cli import main

pytestmark = pytest.mark.slow


def make_packages(folder: Path) -> Path:
    """Something in the place of the npm packages; no browser runs it."""
    for name in PACKAGES:
        (folder / "node_modules" / name / "dist").mkdir(parents=True)
        (folder / "node_modules" / name / "dist" / "index.js").write_text("export {}")
    (folder / "node_modules" / PACKAGES[0] / "runtime.wasm").write_bytes(b"\0asm")
    (folder / "node_modules" / "secret.txt").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def directory(exported: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, because the page's files are added to it."""
    copy = tmp_path_factory.mktemp("explore") / "digits"
    shutil.copytree(exported[0], copy)
    return copy


@pytest.fixture(scope="module")
def explorer(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    return open_export(directory, make_packages(tmp_path_factory.mktemp("npm")))


@pytest.fixture(scope="module")
def server(explorer: Explorer) -> Iterator[PageServer]:
    with explorer.serve() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(
    server: PageServer, path: str, host: str | None = None, method: str = "GET"
) -> tuple[int, str, bytes]:
    """Asks for a path as it is written, which a browser would tidy up first."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.getheader("Content-Type") or "", body


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/explore.js", "text/javascript; charset=utf-8"),
        ("/explore.js?again", "text/javascript; charset=utf-8"),
        ("/noise.js", "text/javascript; charset=utf-8"),
        ("/model.json", "application/json"),
        ("/model/decode.tflite", "application/octet-stream"),
        ("/npm/@litertjs/core/dist/index.js", "text/javascript; charset=utf-8"),
        ("/npm/@litertjs/core/runtime.wasm", "application/wasm"),
    ],
)
def test_served_with_the_right_type(server: PageServer, path: str, kind: str) -> None:
    status, got, body = get(server, path)
    assert (status, got) == (200, kind)
    assert body
    assert get(server, path, method="HEAD") == (200, kind, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../export.json",
        "/export.json",
        "/npm/@litertjs/core/../../secret.txt",
        "/npm/@litertjs/core/%2e%2e/%2e%2e/secret.txt",
        "/npm/@litertjs/core/..%2f..%2fsecret.txt",
        "/npm/@litertjs/core//etc/passwd",
        "/npm/@litertjs/core/link.txt",
        "/npm/@litertjs/core/",
        "/npm/@litertjs/core/%00",
        "/npm/@litertjs/core/" + "a" * 300,
        "/npm/@litertjs/core/" + "a/" * 3000,
        "/npm/@litertjs/core/%ff%fe",
        "/npm/secret.txt",
        "/model/latents.tflite",
    ],
)
def test_nothing_else_is_served(
    server: PageServer, explorer: Explorer, path: str
) -> None:
    core = explorer.packages[PACKAGES[0]]
    if not (core / "link.txt").exists():
        os.symlink(core.parent.parent / "secret.txt", core / "link.txt")
    status, _, body = get(server, path)
    assert status == 404
    assert b"secret" not in body


def test_only_this_machine_is_answered(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.socket.family == socket.AF_INET
    assert get(server, "/", host="evil.example")[0] == 403
    assert get(server, "/", host=f"evil.example:{server.server_port}")[0] == 403
    assert get(server, "/", host=f"localhost:{server.server_port}")[0] == 200
    assert get(server, "/", method="POST")[0] == 501


def test_no_other_page_can_frame_it_or_be_loaded(server: PageServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    page = answer.read().decode()
    connection.close()
    policy = answer.getheader("Content-Security-Policy") or ""
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy
    assert answer.getheader("X-Frame-Options") == "DENY"
    inline = page.split('<script type="importmap">')[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy


def test_silent_and_many_clients_do_not_keep_others_out(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module._Handler, "timeout", 0.5)
    with explorer.serve() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = ("127.0.0.1", server.server_port)
        silent = [socket.create_connection(address, timeout=10) for _ in range(40)]
        before = threading.active_count()
        assert before < 40  # of the others no thread was begun
        for client in silent:
            assert client.recv(1) == b""  # hung up
            client.close()
        assert get(server, "/")[0] == 200
        server.shutdown()
        thread.join()


def test_clients_that_hang_up_are_not_news(
    server: PageServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for request in (b"", b"GET / HT", b"GET /explore.js HTTP/1.1\r\nHost: x\r\n\r\n"):
        client = socket.create_connection(("127.0.0.1", server.server_port))
        client.sendall(request)
        # With this option closing resets the connection.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert get(server, "/")[0] == 200
    assert capsys.readouterr().err == ""


def test_every_address_in_the_page_is_served(explorer: Explorer) -> None:
    page = Path(kvae.export.__file__).parent / "explore" / "page"
    named = {"/style.css", "/explore.js"}
    for file in page.iterdir():
        text = file.read_text()
        found = [word for word in text.replace("(", '"').split('"') if word[:1] == "/"]
        named |= {word for word in found if word.count("/") == 1 and "." in word}
    with explorer.serve() as server:
        assert {word for word in named if server.find(word) is None} == set()
    assert len(named) >= 6


def test_the_page_is_told_of_the_model(server: PageServer, vae: Any) -> None:
    about = json.loads(get(server, "/model.json")[2])
    assert about["latent_dim"] == vae.latent_dim
    assert about["data_shape"] == [8, 8, 1]
    assert (about["latents"], about["condition"]) == ("page", None)
    assert (about["range"], about["name"]) == ([0, 1], "digits")
    assert (
        len(about["drawn"]["values"]) == about["drawn"]["num"] * about["drawn"]["dim"]
    )


def test_the_latents_that_carry_most_come_first(
    explorer: Explorer, exported: Any, vae: Any, digits: np.ndarray
) -> None:
    usage = latent_usage(vae, digits)
    rate = usage.rate_per_dimension
    np.testing.assert_allclose(explorer.about["rates"], rate, rtol=1e-4)
    assert explorer.about["order"] == np.argsort(-rate).tolist()
    earlier = read_manifest(exported[0])["model"]
    del earlier["rate_per_latent"]
    order = np.argsort(-usage.mean_variance)
    assert explorer_module._order(earlier)["order"] == order.tolist()
    del earlier["variance_per_latent"]
    assert explorer_module._order(earlier)["order"] == [0, 1, 2, 3, 4]


def test_the_page_of_a_run_has_the_name_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "mnist" / "export"
    path.mkdir(parents=True)
    assert explorer_module._name(path) == "export"
    (path.parent / "config.toml").touch()
    assert explorer_module._name(path) == "mnist"


def test_the_decoder_is_static_and_computes_what_keras_does(
    explorer: Explorer, vae: Any
) -> None:
    run = litert_runner(explorer.model_files["decode"])
    z = np.random.default_rng(0).normal(size=(1, vae.latent_dim)).astype("float32")
    got = run("decode", {"z": z})
    assert list(got) == ["mean"]
    np.testing.assert_allclose(got["mean"], decode(vae, z)["mean"], atol=1e-6)
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(explorer.model_files["decode"]))
    assert list(interpreter.get_input_details()[0]["shape_signature"]) == [1, 5]


def test_files_are_made_once_and_the_export_stays_whole(
    directory: Path, explorer: Explorer
) -> None:
    file = explorer.model_files["decode"]
    assert file == directory / "explore" / "decode.tflite"
    before = file.stat().st_mtime_ns
    modules = explorer.packages[PACKAGES[0]].parent.parent
    assert open_export(directory, modules).model_files == explorer.model_files
    assert file.stat().st_mtime_ns == before
    assert kvae.export.verify(directory).ok


@pytest.mark.parametrize("change", ["garbage", "another model", "no note", "bad note"])
def test_a_kept_file_is_compared_before_it_is_used(
    directory: Path, explorer: Explorer, tmp_path: Path, change: str
) -> None:
    """Each time the page gets the file that was made of this export, and compared."""
    shutil.copytree(directory, tmp_path / "copy")
    file = tmp_path / "copy" / "explore" / "decode.tflite"
    note = file.with_suffix(".json")
    whole = file.read_bytes()
    if change == "garbage":
        file.write_bytes(b"garbage")
    elif change == "another model":
        file.write_bytes(whole[:-1000] + bytes(1000))
    elif change == "no note":
        note.unlink()
    else:
        note.write_text("[" * 10**5)
    modules = explorer.packages[PACKAGES[0]].parent.parent
    found = open_export(tmp_path / "copy", modules).model_files["decode"]
    assert found == file
    z = np.zeros((1, 5), "float32")
    np.testing.assert_array_equal(
        litert_runner(file)("decode", {"z": z})["mean"],
        litert_runner(explorer.model_files["decode"])("decode", {"z": z})["mean"],
    )
    assert json.loads(note.read_text())["sha256"] == sha256(file)


def test_packages_are_found_however_their_place_is_given(tmp_path: Path) -> None:
    assert find_packages([tmp_path]) is None
    make_packages(tmp_path)
    core = tmp_path / "node_modules" / "@litertjs" / "core"
    for place in (tmp_path, tmp_path / "node_modules", core):
        found = find_packages([tmp_path / "none", place])
        assert found is not None
        assert found[PACKAGES[0]] == core.resolve()


# === A learned prior, whose draws need its own file ===


def test_draws_of_a_learned_prior_of_labels_come_from_a_file(
    digits: np.ndarray, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(2)
    labels = np.arange(len(digits)) % 3 + 4
    model = kvae.VAE.for_data(digits, 3, labels, conditional_prior=True, seed=1)
    model.compile(optimizer="adam")
    model.fit({"x": digits, "condition": labels}, epochs=1, verbose=0)
    given = {"x": digits[:32], "condition": labels[:32]}
    kvae.export.export(model, tmp_path / "out", given)
    explorer = open_export(tmp_path / "out", make_packages(tmp_path / "npm"))
    assert explorer.about["latents"] == "file"
    assert explorer.about["condition"] == {
        "shape": [],
        "dtype": "int32",
        "classes": [4, 5, 6],
    }
    given = {
        "seed": np.array([9, 0], np.int32),
        "temperature": np.float32(0.5),
        "condition": np.full(16, 5, np.int32),
    }
    z = litert_runner(explorer.model_files["latents"])("generate", given)["z"]
    x = model.sample(16, 9, 5, 0.5)
    run = litert_runner(explorer.model_files["decode"])
    for code, expected in zip(z, x, strict=True):
        inputs = {"z": code[None], "condition": np.array([5], np.int32)}
        np.testing.assert_allclose(
            run("decode", inputs)["mean"][0], expected, atol=1e-5
        )


# === The decisions of a detector ===


@pytest.fixture(scope="module")
def detecting(
    vae: Any, digits: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Explorer, Detector]:
    """A page whose export has a detector, and that detector."""
    folder = tmp_path_factory.mktemp("detecting")
    detector = Detector(vae, "elbo").calibrate(digits[:400])
    path = folder / "out"
    kvae.export.export(vae, path, digits[400:], detector=detector, alpha=0.05)
    return open_export(path, make_packages(folder / "npm")), detector


def test_the_file_of_decisions_computes_what_the_detector_does(
    detecting: tuple[Explorer, Detector], digits: np.ndarray
) -> None:
    explorer, detector = detecting
    x = np.concatenate([digits[400:406], 1 - digits[400:404]])
    found = detector.detect(x, 0.05, attribution=True)
    assert 0 < found.num_anomalies < len(x)
    run = litert_runner(explorer.model_files["detect"])
    calls = [run("detect", {"x": row[None]}) for row in x]
    got = {key: np.concatenate([call[key] for call in calls]) for key in calls[0]}
    np.testing.assert_array_equal(got["is_anomaly"], found.is_anomaly)
    np.testing.assert_allclose(got["score"], found.score, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(got["p_value"], found.p_value, atol=0.01)
    np.testing.assert_allclose(got["attribution"], found.attribution, atol=1e-3)


def test_the_page_is_told_how_decisions_are_made(
    detecting: tuple[Explorer, Detector], explorer: Explorer, digits: np.ndarray
) -> None:
    about = detecting[0].about["detect"]
    assert (about["alpha"], about["calibration_examples"]) == (0.05, 400)
    assert about["score"] == detecting[1].score_function.label
    examples = np.reshape(about["examples"], (16, 8, 8, 1))
    np.testing.assert_array_equal(examples, digits[400:416])
    nats = detecting[1].attribute(digits[400:416])
    assert about["full"] == pytest.approx(max(np.quantile(nats, 0.98), 1.0), rel=1e-3)
    assert explorer.about["detect"] is None
    assert "detect" not in explorer.model_files


def test_only_detectors_of_pictures_are_shown() -> None:
    def detects(shape: list[int], *inputs: str) -> bool:
        signatures = {"detect": dict.fromkeys(inputs, {})} if inputs else {}
        files = [{"kind": "saved_model", "signatures": signatures}]
        model = {"data_shape": shape}
        return explorer_module._detects({"files": files, "model": model})

    assert detects([28, 28], "x")
    assert detects([28, 28, 3], "x", "condition")
    assert not detects([28, 28, 1])  # no detector
    assert not detects([28, 28, 1], "x", "mask")
    assert not detects([28, 28, 4], "x")
    assert not detects([30], "x")


# === Mistakes ===


def test_without_litertjs_the_ways_to_it_are_named(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=r"npm install @litertjs/core.*--litertjs PATH"
    ):
        open_export(directory)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"--fetch needs npm, which is not on PATH"):
        open_export(directory, fetch=True)


def test_a_failing_npm_is_quoted(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "npm").write_text("#!/bin/sh\necho 'npm error code E404' >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"could not install.*npm error code E404"):
        open_export(directory, fetch=True)


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="isn't a finished export"):
        open_export(tmp_path)


def test_a_tampered_export_is_refused(exported: Any, tmp_path: Path) -> None:
    shutil.copytree(exported[0], tmp_path / "bad")
    with (tmp_path / "bad" / "saved_model/1/saved_model.pb").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"not the file that was exported.*damaged"):
        open_export(tmp_path / "bad")


def test_a_taken_port_is_said(explorer: Explorer) -> None:
    with (
        explorer.serve() as server,
        pytest.raises(ValueError, match="is not available"),
    ):
        explorer.serve(server.server_port)


def test_the_command_prints_where_the_page_is_and_ends_by_ctrl_c(
    directory: Path,
    explorer: Explorer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(self: PageServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", interrupted)
    modules = str(explorer.packages[PACKAGES[0]].parent.parent)
    assert main.main(["explore", str(directory), "--litertjs", modules]) == 0
    assert "http://127.0.0.1:" in capsys.readouterr().out
    assert main.main(["explore", str(directory / "none")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert main.main(["explore", str(directory), "--port", "70000"]) == 2
    assert "expected a port" in capsys.readouterr().err
    assert "explore" in verbs.VERBS
