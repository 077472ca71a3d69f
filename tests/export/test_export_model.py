"""Export and its checks, in one file: its tests share one export of one model."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import tiny_models

import kvae
import kvae.export
from kvae.export import export_model
from kvae.export.checks import verification
from kvae.export.checks.verification import litert_runner, saved_model_runner

SIGNATURES = {"decode", "generate", "encode", "reconstruct", "score"}


def test_everything_is_there_and_listed(exported: Any) -> None:
    directory, report = exported
    manifest = json.loads((directory / "export.json").read_text())
    present = {
        str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()
    }
    assert present == set(manifest["sha256"]) | {"export.json"}
    assert {"litert/decoder.tflite", "saved_model/1/saved_model.pb"} <= present
    assert manifest["parity"] == report.to_dict()
    assert manifest["model"]["posterior"] == "DiagonalNormal"


def test_the_readme_names_the_files_and_its_code_runs(
    exported: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    directory, report = exported
    text = (directory / "README.md").read_text()
    assert "| `litert/decoder.tflite` | float32 | any |" in text
    assert "No license was given." in text
    monkeypatch.chdir(directory)
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == len(report.files) == 2
    for block in blocks:
        exec(block, {})
        assert "mean" in capsys.readouterr().out


def test_every_output_was_compared(exported: Any) -> None:
    _, report = exported
    seen = {(r["file"], r["signature"], r["data"]) for r in report.rows}
    assert seen == {
        *(("saved_model/1", s, "real") for s in SIGNATURES - {"generate"}),
        *(("saved_model/1", s, "random") for s in SIGNATURES),
        *(("litert/decoder.tflite", "decode", d) for d in ("real", "random")),
    }
    assert all(row["batches"] == [1, 3, 16] for row in report.rows)
    assert all(row["ok"] and row["limit"] == 1e-5 for row in report.rows)
    means = [r["max"] for r in report.rows if r["output"] in ("mean", "x")]
    assert max(means) <= 1e-5  # absolute: the pixels are in [0, 1]
    assert "same bits" in str(report)
    assert report.ok


def test_the_files_answer_as_the_methods_of_the_model_do(
    exported: Any, vae: Any, digits: np.ndarray
) -> None:
    directory, _ = exported
    run = saved_model_runner(directory / "saved_model" / "1")
    x = digits[:5]
    seed = np.array([11, 0], np.int32)
    images = run("generate", {"num": np.int32(5), "seed": seed, "temperature": 1.0})
    np.testing.assert_allclose(images["x"], vae.sample(5, seed=11), atol=1e-6)
    scores = run("score", {"x": x, "seed": seed})
    np.testing.assert_allclose(scores["elbo"], vae.elbo(x, seed=11), rtol=1e-5)
    np.testing.assert_allclose(
        scores["elbo"], -(scores["rate"] + scores["distortion"]), rtol=1e-6
    )
    shown = run("reconstruct", {"x": x})["x"]
    np.testing.assert_allclose(shown, vae.reconstruct(x), atol=1e-6)
    q = vae.encode(x)
    np.testing.assert_allclose(run("encode", {"x": x})["loc"], q.mean(), atol=1e-6)
    decode = litert_runner(directory / "litert" / "decoder.tflite")
    mean = decode("decode", {"z": images["z"]})["mean"]
    np.testing.assert_allclose(mean, images["x"], atol=1e-6)


def test_the_reference_is_what_keras_computes(
    exported: Any, vae: Any, digits: np.ndarray
) -> None:
    cases = verification.load_cases(exported[0] / "parity.npz")
    np.testing.assert_array_equal(
        cases["real", "encode"]["in"]["x"],
        digits[: len(cases["real", "encode"]["in"]["x"])],
    )
    out = cases["real", "reconstruct"]["out"]["x"]
    np.testing.assert_allclose(out, vae.reconstruct(digits[:16]), atol=1e-6)


def test_server_refuses_bad_requests(exported: Any) -> None:
    run = saved_model_runner(exported[0] / "saved_model" / "1")
    good = {"num": np.int32(1), "seed": np.zeros(2, np.int32), "temperature": 1.0}
    for num in (0, -1, 10**9):
        with pytest.raises(tf.errors.InvalidArgumentError, match="num must be from 1"):
            run("generate", good | {"num": np.int32(num)})
    with pytest.raises(tf.errors.InvalidArgumentError, match="z must be finite"):
        run("decode", {"z": np.full((2, 5), np.nan, np.float32)})
    with pytest.raises(Exception, match="int32"):
        run("generate", good | {"seed": np.zeros(2, np.int64)})


def test_scores_of_one_image_do_not_depend_on_its_batch(
    exported: Any, digits: np.ndarray
) -> None:
    run = saved_model_runner(exported[0] / "saved_model" / "1")
    seed = np.array([5, 6], np.int32)
    whole = run("score", {"x": digits[:8], "seed": seed})["elbo"]
    part = run("score", {"x": digits[:3], "seed": seed})["elbo"]
    np.testing.assert_allclose(whole[:3], part, rtol=1e-6)


def verify_status(directory: Path) -> subprocess.CompletedProcess[str]:
    """Runs `kvae verify` where TensorFlow may not be imported by the command itself."""
    program = (
        "import sys, kvae_cli.main; status = kvae_cli.main.main(); "
        "sys.exit(9 if {'tensorflow', 'kvae'} & set(sys.modules) else status)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, "verify", str(directory)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_command_needs_no_library(exported: Any, tmp_path: Path) -> None:
    done = verify_status(exported[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"litert/decoder.tflite\s+decode\.mean\s+real .* ok", done.stdout)
    done = verify_status(tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no folder" in done.stderr


def rewrite(directory: Path, change: Any, digest: bool = True) -> None:
    """Changes export.json; with `digest` as one would who knows how it is made."""
    file = directory / "export.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    if digest:
        manifest["digest"] = verification.digest(manifest)
    file.write_text(json.dumps(manifest))


@pytest.fixture
def copy(exported: Any, tmp_path: Path) -> Path:
    shutil.copytree(exported[0], tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.slow
def test_a_file_without_a_checksum_is_not_run(copy: Path) -> None:
    rewrite(copy, lambda m: m["sha256"].pop("litert/decoder.tflite"))
    report = kvae.export.verify(copy)
    assert report.problems == (
        "litert was not exported",
        "litert/decoder.tflite has no checksum",
    )
    assert report.rows == ()


@pytest.mark.slow
def test_a_lost_byte_of_the_manifest_is_found(copy: Path) -> None:
    def lose(manifest: dict[str, Any]) -> None:
        signatures = manifest["files"][0]["signatures"]
        signatures["ecode"] = signatures.pop("encode")

    rewrite(copy, lose, digest=False)
    problem = "export.json is not the file that was exported (checksum)"
    assert kvae.export.verify(copy).problems == (problem,)
    assert verify_status(copy).returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda m: m["files"][0]["signatures"].pop("encode"),
            "export.json says nothing of encode in saved_model/1",
        ),
        (
            lambda m: m["files"][0].update(signatures={}),
            "export.json says nothing of score in saved_model/1",
        ),
        (
            lambda m: m["files"][0]["signatures"].update(other={}),
            "saved_model/1 has no signature other",
        ),
        (
            lambda m: m["files"].pop(1),
            "export.json says nothing of litert/decoder.tflite",
        ),
    ],
)
def test_the_manifest_can_take_no_check_out(
    copy: Path, change: Any, problem: str
) -> None:
    rewrite(copy, change)
    report = kvae.export.verify(copy)
    assert not report.ok
    assert problem in report.problems


@pytest.mark.slow
def test_limits_are_not_read_from_the_manifest(copy: Path) -> None:
    rewrite(copy, lambda m: [f.update(limits={"*": 1e9}) for f in m["files"]])
    report = kvae.export.verify(copy)
    assert report.ok
    assert {row["limit"] for row in report.rows} == {1e-5}


def test_what_was_added_is_found_but_for_what_explore_keeps(copy: Path) -> None:
    (copy / "explore" / "node_modules").mkdir(parents=True)
    (copy / "explore" / "decode.tflite").write_bytes(b"of another command")
    manifest = verification.read_manifest(copy)
    assert verification.damage(copy, manifest) == []
    # A server of models takes the folder with the largest number.
    shutil.copytree(copy / "saved_model" / "1", copy / "saved_model" / "2")
    (copy / "saved_model" / "3").mkdir()
    (copy / "litert" / "more.tflite").write_bytes(b"")
    (copy / "elsewhere").symlink_to(copy.parent)
    assert verification.damage(copy, manifest) == [
        "elsewhere was not exported",
        "litert/more.tflite was not exported",
        "saved_model/2 was not exported",
        "saved_model/3 was not exported",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("files"), "files of it is 'None'"),
        (lambda m: m.update(files=[]), "it lists no files"),
        (lambda m: m.update(format=2), "its format is 2"),
        (lambda m: m["files"][0].update(batch="1"), "batch of saved_model/1 is '1'"),
        (lambda m: m["files"][0].update(bytes=True), "bytes of an entry of files"),
        (lambda m: m["files"][1].update(precision="f"), "precision of litert/"),
        (lambda m: m["files"][1].update(cost={}), "of the cost of litert/decoder"),
        (lambda m: m["files"][0]["signatures"].update(encode=3), "encode of saved_mo"),
        (lambda m: m["model"].pop("prior"), "prior of model is 'None'"),
        (lambda m: m["sha256"].update(a=1), "the checksum of a isn't text"),
    ],
)
def test_odd_manifests_are_named_in_one_sentence(
    exported: Any, tmp_path: Path, change: Any, words: str
) -> None:
    shutil.copy(exported[0] / "export.json", tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(verification.NoExport, match=words):
        verification.read_manifest(tmp_path)
    report = kvae.export.verify(tmp_path)
    assert not report.ok
    assert words in str(report)


def test_a_folder_that_is_no_export_is_said_with_status_2(tmp_path: Path) -> None:
    done = verify_status(tmp_path)
    said = f"kvae: {tmp_path} isn't a finished export: it has no export.json.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    (tmp_path / "export.json").write_text("[" * 10**5)
    with pytest.raises(verification.NoExport, match="is not JSON"):
        verification.read_manifest(tmp_path)


def test_verify_passes_and_finds_tampering(copy: Path) -> None:
    assert kvae.export.verify(copy).ok

    decoder = copy / "litert" / "decoder.tflite"
    content = decoder.read_bytes()
    decoder.write_bytes(content[: len(content) // 2])
    report = kvae.export.verify(copy)
    assert not report.ok
    assert "decoder.tflite is not the file that was exported" in str(report)
    status = verify_status(copy)
    assert status.returncode == 1
    assert "decoder.tflite is not the file that was exported" in status.stdout

    # With a checksum that fits, the comparison itself has to find it.
    altered = bytearray(content)
    floats = np.frombuffer(content, np.float32, (len(content) - 8) // 4, 4)
    place = 4 + 4 * int(
        np.flatnonzero((np.abs(floats) > 0.05) & (np.abs(floats) < 1))[999]
    )
    altered[place : place + 4] = np.float32(0.9).tobytes()
    decoder.write_bytes(altered)
    altered_sum = verification.sha256(decoder)
    rewrite(copy, lambda m: m["sha256"].update({"litert/decoder.tflite": altered_sum}))
    report = kvae.export.verify(copy)
    assert not report.ok
    bad = {row["file"] for row in report.rows if not row["ok"]}
    assert bad == {"litert/decoder.tflite"}, report.problems


@pytest.mark.slow
def test_the_directory_checks_itself_and_admits_no_keras(exported: Any) -> None:
    program = f"""
import runpy, sys
sys.argv = sys.argv[1:]
try: runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as done: assert done.code == 0
assert "tensorflow" in sys.modules
for name in {verification.FORBIDDEN!r}:
    try: __import__(name)
    except ModuleNotFoundError as error: assert "not admitted" in str(error)
    else: raise SystemExit(name + " came in")
assert not [m for m in sys.modules if m.split(".")[0] in {verification.FORBIDDEN!r}]
"""
    command = [sys.executable, "-I", "-c", program, str(exported[0] / "verify.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"saved_model/1\s+score\.elbo\s+real .* ok", done.stdout)


@pytest.mark.slow
def test_difference_leaves_nothing_behind(
    vae: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = export_model.record

    def wrong(*arguments: Any) -> dict[str, np.ndarray]:
        cases = record(*arguments)
        cases["random/decode/out/mean"] = cases["random/decode/out/mean"] + 2e-5
        return cases

    monkeypatch.setattr(export_model, "record", wrong)
    with pytest.raises(kvae.export.ParityFailed, match=r"decode\.mean .* FAILED"):
        kvae.export.export(vae, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_existing_directory_is_refused(vae: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="out exists. Choose a new name"):
        kvae.export.export(vae, tmp_path / "out")


@pytest.mark.slow
def test_a_file_has_the_weights_and_the_prior_of_its_own_moment(tmp_path: Path) -> None:
    """Exports of one process: before and after weights change, and with another prior.

    The independent form is the model itself, at the time of each export.
    """
    z = np.random.default_rng(0).normal(size=(3, 3)).astype("float32")
    seed = np.array([0, 4], "int32")
    model = tiny_models.tiny_vae()
    model.build((None, 4))
    shifted = kvae.priors.GaussianMixture(3, 2)
    pictures, draws = [], []
    for number in range(3):
        if number == 1:
            for weight in model.decoder.trainable_variables:
                weight.assign(0.5 * weight)
        if number == 2:
            model = model.with_prior(shifted, kvae.objectives.ELBO(kl="sampled"))
            model.prior.set_weights([w + 3.0 for w in model.prior.get_weights()])
        path = kvae.export.saved_model(
            model, tmp_path / str(number), allow_untrained=True
        )
        loaded = tf.saved_model.load(str(path)).signatures
        mean = kvae.model.endpoints.decode(model, tf.constant(z))["mean"]
        found = loaded["decode"](z=tf.constant(z))["mean"].numpy()
        np.testing.assert_allclose(found, mean, atol=1e-5)
        pictures.append(found)
        given = {"num": 3, "seed": seed, "temperature": 1.0}
        given = {name: tf.constant(value) for name, value in given.items()}
        wanted = kvae.model.endpoints.generate(model, *given.values())
        drawn = loaded["generate"](**given)
        np.testing.assert_allclose(drawn["z"], wanted["z"], atol=1e-5)
        draws.append(drawn["z"].numpy())
    assert np.abs(pictures[0] - pictures[1]).max() > 0.01
    np.testing.assert_array_equal(pictures[1], pictures[2])
    np.testing.assert_allclose(draws[0], draws[1], atol=1e-6)
    assert np.abs(draws[1] - draws[2]).max() > 0.01


def test_unready_models_are_refused(vae: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="takes a kvae.VAE; received Functional"):
        kvae.export.export(vae.encoder, tmp_path / "out")
    fresh = kvae.VAE.from_config(vae.get_config())
    with pytest.raises(ValueError, match="was never trained.*allow_untrained=True"):
        kvae.export.export(fresh, tmp_path / "out")
    with pytest.raises(ValueError, match="was never trained"):
        kvae.export.saved_model(fresh, tmp_path / "served")
    with pytest.raises(ValueError, match="was never trained"):
        kvae.export.litert(fresh, tmp_path / "a.tflite")
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)])
    decoder = keras.Sequential([keras.layers.Dense(4)])
    unbuilt = kvae.VAE(
        encoder,
        decoder,
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Normal((4,)),
    )
    with pytest.raises(ValueError, match="has no weights yet"):
        kvae.export.export(unbuilt, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_missing_runtime_names_the_command(
    vae: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ImportError, match=r'pip install "keras-vae\[mobile\]"'):
        kvae.export.export(vae, tmp_path / "out")


def test_wrong_examples_are_refused(vae: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="takes examples of shape"):
        kvae.export.export(vae, tmp_path / "out", np.zeros((4, 9, 9, 1), "float32"))
    assert list(tmp_path.iterdir()) == []


def test_verify_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not a directory"):
        kvae.export.verify(tmp_path / "nothing")
    report = kvae.export.verify(tmp_path)
    assert not report.ok
    assert "isn't a finished export" in report.problems[0]


@pytest.mark.slow
def test_the_name_appears_only_after_the_checks(
    vae: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(stage: Path, runners: Any) -> Any:
        # What a kill at this moment would leave: a hidden name that says it is partial.
        names = [path.name for path in tmp_path.iterdir()]
        assert names == [stage.name]
        assert stage.name.startswith(f".out.{os.getpid()}.partial.")
        raise KeyboardInterrupt

    monkeypatch.setattr(export_model, "run_checks", interrupt)
    with pytest.raises(KeyboardInterrupt):
        kvae.export.export(vae, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
