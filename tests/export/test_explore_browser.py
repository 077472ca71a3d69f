"""The page of an export in a real headless browser, compared with Python.

It needs Chromium, Node.js and the npm packages playwright-core and @litertjs/core, in
./node_modules or in the folder that KVAE_NODE_MODULES names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvae
import kvae.export
from kvae.detection import Detector
from kvae.export.explore import open_export
from kvae.export.explore.litertjs import find_packages
from kvae.model.endpoints import decode
from kvae.reports.heat_maps import heat_maps
from kvae.training.config.load_recipe import load_recipe
from kvae.training.run.label_attributes import label_attributes
from kvae.training.run.runner import train

MODULES = Path(os.environ.get("KVAE_NODE_MODULES", "node_modules")).absolute()
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
NODE = shutil.which("node")


def missing() -> str:
    """What the machine lacks, in words."""
    if CHROMIUM is None:
        return "Chromium is not on PATH"
    if NODE is None:
        return "Node.js is not on PATH"
    if find_packages([MODULES]) is None:
        return f"@litertjs/core is not in {MODULES}"
    if not (MODULES / "playwright-core").is_dir():
        return f"playwright-core is not in {MODULES}"
    return ""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing() or "all is there"),
]


def drive(directory: Path, folder: Path) -> dict[str, Any]:
    """Serves a page, runs explore_page.mjs on it, and returns what that saw."""
    folder.mkdir(exist_ok=True, parents=True)
    with open_export(directory, MODULES).serve() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        script = Path(__file__).parent / "explore_page.mjs"
        done = subprocess.run(
            [str(NODE), script, MODULES, str(CHROMIUM), server.url, folder],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        server.shutdown()
        thread.join()
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["problems"] == []
    assert seen["elsewhere"] == []
    return seen


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where they go: into the folder KVAE_SCREENSHOTS to be looked at."""
    kept = os.environ.get("KVAE_SCREENSHOTS")
    return Path(kept) if kept else tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The quickstart's model: its digits can be read, so that pictures can be judged."""
    return train(load_recipe("digits"), tmp_path_factory.mktemp("run") / "digits")


@pytest.fixture(scope="module")
def vae(run: Any) -> Any:
    """In place of the folder's model, which was hardly trained."""
    return run.vae


@pytest.fixture(scope="module")
def detector(run: Any, digits: np.ndarray) -> Detector:
    return Detector(run.vae).calibrate(digits[:400])


@pytest.fixture(scope="module")
def exported(
    run: Any,
    digits: np.ndarray,
    detector: Detector,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Any]:
    directory = tmp_path_factory.mktemp("browser") / "digits"
    report = kvae.export.export(
        run.vae,
        directory,
        digits[400:],
        attributes=label_attributes(run.vae, run.data, run.config),
        detector=detector,
        alpha=0.05,
        whole_model=True,  # the mixture of this prior doesn't convert from a SavedModel
        batches=(1,),
    )
    return directory, report


@pytest.fixture(scope="module")
def picture(digits: np.ndarray) -> np.ndarray:
    """(8, 8) bytes of the file that is given to the page: a digit that isn't recorded."""
    return np.round(255 * digits[500, :, :, 0]).astype("uint8")


@pytest.fixture(scope="module")
def seen(exported: Any, screenshots: Path, picture: np.ndarray) -> dict[str, Any]:
    folder = screenshots / "digits"
    folder.mkdir(exist_ok=True, parents=True)
    png = tf.io.encode_png(picture[..., None]).numpy()
    (folder / "picture.png").write_bytes(png)
    (folder / "text.png").write_text("not a picture")
    return drive(exported[0], folder)


def pixels(x: np.ndarray) -> np.ndarray:
    """(N, 8, 8, 1) means as the bytes of a canvas, (N, 8 * 8 * 4)."""
    gray = np.floor(255 * np.clip(x.astype("float64"), 0, 1) + 0.5)
    opaque = np.full_like(gray, 255)
    return np.concatenate([gray] * 3 + [opaque], -1).reshape(len(x), -1)


def assert_same_pictures(view: dict[str, Any], x: np.ndarray) -> float:
    """The numbers agree to 1e-6, and no pixel is off by more than one level."""
    means = np.array(view["means"]).reshape(x.shape)
    gap = float(np.abs(means - x).max())
    assert gap <= 1e-6
    off = np.abs(np.array(view["gridPixels"]) - pixels(x)).max()
    assert off <= 1
    print(f"largest difference: {gap:.2g} in a mean, {off:.0f} levels in a pixel")
    return gap


def test_a_seed_shows_the_images_that_python_draws(
    seen: Any, vae: Any, digits: np.ndarray
) -> None:
    x = vae.sample(16, seed=0)
    # Pictures worth comparing: they differ from one another as digits do.
    assert x.std(axis=0).mean() > 0.5 * digits.std(axis=0).mean()
    assert_same_pictures(seen["first"], x)
    assert_same_pictures(seen["seeded"], vae.sample(16, seed=11, temperature=0.5))


def test_latents_are_the_same_bits(exported: Any, seen: Any, vae: Any) -> None:
    run = kvae.export.checks.verification.saved_model_runner(
        exported[0] / "saved_model" / "1"
    )
    for name, seed, temperature in (("first", 0, 1.0), ("seeded", 11, 0.5)):
        key = np.array([seed, 0], np.int32)
        given = {
            "num": np.int32(16),
            "seed": key,
            "temperature": np.float32(temperature),
        }
        z = run("generate", given)["z"]
        got = np.array(seen[name]["latents"], np.float32).reshape(z.shape)
        assert got.tobytes() == z.tobytes()


def test_controls_move_the_code_and_its_picture(seen: Any, vae: Any) -> None:
    latents = np.reshape(seen["seeded"]["latents"], (16, -1))
    z = latents[3].copy()
    np.testing.assert_array_equal(seen["chosen"]["z"], z)
    order = seen["chosen"]["order"]  # of the sliders, and of the axes of the map
    z[order[0]] = 1.5
    np.testing.assert_array_equal(seen["slid"]["z"], z)
    # The map reaches from -span to span; the finger stopped at (3/4, 1/4) of it.
    across, up = (seen["dragged"]["z"][d] for d in order[:2])
    assert across == pytest.approx(up, abs=0.05)
    assert across == pytest.approx(seen["dragged"]["span"] / 2, abs=0.05)
    kept = order[2:]
    np.testing.assert_array_equal(np.array(seen["dragged"]["z"])[kept], z[kept])
    for name in ("chosen", "slid", "dragged"):
        view = seen[name]
        code = np.array(view["z"], np.float32)[None]
        mean = decode(vae, code)["mean"].numpy()
        np.testing.assert_allclose(np.ravel(mean), view["single"], atol=1e-6)
        assert np.abs(pixels(mean)[0] - view["singlePixels"]).max() <= 1
    assert seen["slid"]["single"] != seen["chosen"]["single"]
    assert seen["slid"]["map"] != seen["seeded"]["map"]


def test_an_attribute_moves_the_code_along_its_vector(
    seen: Any, run: Any, vae: Any
) -> None:
    found = label_attributes(vae, run.data)
    assert found.names == tuple("0123456789")
    z = np.reshape(seen["seeded"]["latents"], (16, -1))[3]
    z = z + 1.5 * found.vectors[1]
    view = seen["attributed"]
    np.testing.assert_allclose(view["z"], z, rtol=0, atol=1e-5)
    mean = decode(vae, z[None].astype("float32"))["mean"].numpy()
    np.testing.assert_allclose(np.ravel(mean), view["single"], atol=1e-5)
    assert view["single"] != seen["chosen"]["single"]


def test_the_map_shows_the_decoded_codes(seen: Any, vae: Any) -> None:
    view = seen["slid"]
    cells = 9
    places = view["span"] * ((2 * np.arange(cells) + 1) / cells - 1)
    z = np.tile(np.array(view["z"], np.float32), (cells, cells, 1))
    across, up = view["order"][:2]
    z[..., across] = places[None, :]
    z[..., up] = -places[:, None]
    mean = decode(vae, z.reshape(cells**2, -1))["mean"].numpy()
    gray = pixels(mean).reshape(cells, cells, 8, 8, 4)[..., 1]
    shown = np.array(view["map"]).reshape(630, 630)
    gap = 2  # pixels between the pictures
    step = 630 / (cells * (8 + gap))
    center = (
        (np.arange(cells)[:, None] * (8 + gap) + gap / 2) + np.arange(8) + 0.5
    ) * step
    at = center.astype(int)
    got = shown[at[:, None, :, None], at[None, :, None, :]]
    # The marker of the chosen code hides what is under it.
    x, y = (
        315 * (1 + sign * view["z"][axis] / view["span"])
        for axis, sign in ((across, 1), (up, -1))
    )
    row, column = at[:, None, :, None], at[None, :, None, :]
    seen_there = np.hypot(column - x, row - y) > 25
    assert seen_there.mean() > 0.98
    assert np.abs(got - gray)[np.broadcast_to(seen_there, got.shape)].max() <= 1


def test_a_picture_is_judged_as_in_python(
    seen: Any, detector: Detector, digits: np.ndarray, picture: np.ndarray
) -> None:
    np.testing.assert_array_equal(seen["example"]["x"], np.ravel(digits[405]))
    np.testing.assert_allclose(seen["file"]["x"], picture.ravel() / 255, atol=1e-6)
    # A line down the right side, where digits are black.
    changed = np.reshape(seen["painted"]["x"], (8, 8)) - picture / 255
    assert (np.flatnonzero(np.abs(changed).max(axis=0) > 1e-6) == 7).all()
    assert (changed[:, 7] > 0.5).sum() >= 6
    np.testing.assert_array_equal(seen["decoded"]["x"], seen["decoded"]["single"])
    names = ("first", "example", "file", "painted", "decoded")
    x = np.array([seen[name]["x"] for name in names], np.float32)
    wanted = detector.detect(x.reshape(-1, 8, 8, 1), 0.05, attribution=True)
    assert wanted.is_anomaly[names.index("painted")]
    assert not wanted.is_anomaly.all()
    for i, name in enumerate(names):
        view, anomaly = seen[name], bool(wanted.is_anomaly[i])
        assert view["found"]["is_anomaly"] == [int(anomaly)]
        assert (
            view["verdict"]
            == f"{'An anomaly' if anomaly else 'Normal'} at alpha = 0.05"
        )
        np.testing.assert_allclose(
            view["found"]["score"], wanted.score[i], rtol=1e-4, atol=1e-3
        )
        np.testing.assert_allclose(
            view["found"]["p_value"], wanted.p_value[i], atol=0.01
        )
        nats = np.reshape(view["found"]["attribution"], (8, 8, 1))
        np.testing.assert_allclose(nats, wanted.attribution[i], atol=1e-3)
    assert seen["unreadable"]["verdict"].startswith("text.png is not a picture")
    assert seen["unreadable"]["x"] == seen["painted"]["x"]


def test_red_is_where_the_picture_is_unusual(seen: Any, exported: Any) -> None:
    about = open_export(exported[0], MODULES).about["detect"]
    view = seen["painted"]
    nats = np.array(view["found"]["attribution"]).reshape(1, 8, 8, 1)
    x = np.array(view["x"]).reshape(1, 8, 8, 1)
    assert (x.min(), x.max()) == (0, 1)
    maps, _ = heat_maps(x, nats, about["full"])
    shown = np.reshape(view["heatPixels"], (8, 8, 4))[..., :3]
    assert np.abs(shown - 255 * maps[0]).max() <= 2
    red = shown[..., 0] - shown[..., 1]
    assert (red[:, 7] > 90).sum() >= 5


def test_a_phone_needs_no_sideways_scrolling(seen: Any, screenshots: Path) -> None:
    assert seen["phone"]["innerWidth"] == 360
    assert seen["phone"]["scrollWidth"] == 360
    assert (screenshots / "digits" / "phone.png").stat().st_size > 5000


def test_labels_and_a_learned_prior(
    digits: np.ndarray, tmp_path: Path, screenshots: Path
) -> None:
    keras.utils.set_random_seed(2)
    labels = (digits.mean(axis=(1, 2, 3)) > 0.3).astype(int) + 4
    model = kvae.VAE.for_data(digits, 20, labels, conditional_prior=True, seed=1)
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    model.fit({"x": digits, "condition": labels}, epochs=3, verbose=0)
    given = {"x": digits[:32], "condition": labels[:32]}
    kvae.export.export(model, tmp_path / "out", given)
    seen = drive(tmp_path / "out", screenshots / "labels")
    x = model.sample(16, 0, 4)
    assert_same_pictures(seen["first"], x)
    assert_same_pictures(seen["seeded"], model.sample(16, 11, 5, 0.5))
