"""The page about anomalies, and the pictures of where they are."""

import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian

from kvae import detection, reports
from kvae.reports.heat_maps import heat_maps, top_entries


@pytest.fixture(scope="module")
def table():
    model = LinearGaussian.orthogonal()
    detector = detection.Detector(model.vae(), "elbo").calibrate(model.sample(300))
    x = model.sample(40, seed=1)
    x[5, 2] += 30.0
    return detector, x, detector.detect(x)


def test_the_page_names_the_columns(table, tmp_path):
    detector, x, found = table
    drift = detection.drift(detector.vae, x[:20], x[20:], num_permutations=19)
    path = tmp_path / "page.html"
    html = reports.anomaly_report(
        detector, x, found, path, drift, columns=["mass", "size", "<age>"]
    )
    assert path.read_text() == html
    assert "http" not in html.replace("http://www.w3.org", "")
    assert "&lt;age&gt; " in html  # the worst entry, escaped
    assert f"{found.num_anomalies} of 40" in html
    assert "The 10 most unusual examples" in html
    assert html.count("data:image/png") == 3


def test_another_x_is_refused(table):
    detector, x, found = table
    with pytest.raises(ValueError, match="found holds 40 examples and x 39"):
        reports.anomaly_report(detector, x[1:], found)
    with pytest.raises(ValueError, match="expects columns to be a list of 3"):
        reports.anomaly_report(detector, x, found, columns=["mass"])
    with pytest.raises(TypeError, match="expects drift to be what"):
        reports.anomaly_report(detector, x, found, drift="no")


def test_red_is_where_the_nats_are():
    images = np.full((1, 4, 4, 3), 0.5)
    nats = np.zeros((1, 4, 4, 3))
    nats[0, 1, 2] = 5.0
    nats[0, 3, 3] = -50.0  # more usual than usual is not red
    maps, scale = heat_maps(images, nats)
    red = maps[0, ..., 0] - maps[0, ..., 2]
    assert scale > 0
    assert np.argwhere(red > 0.1).tolist() == [[1, 2]]
    assert ((maps >= 0) & (maps <= 1)).all()
    impossible = heat_maps(images, np.where(nats > 0, np.inf, nats))[0]
    np.testing.assert_allclose(impossible, maps)


def test_entries_are_named_by_column_step_or_pixel():
    row = np.array([[0.5, 3.0, -1.0, 2.0]])
    assert top_entries(row, (4,)) == ["column 1 3.0, column 3 2.0, column 0 0.5"]
    assert top_entries(row, (4,), list("abcd"))[0].startswith("b 3.0, d 2.0")
    series = np.stack([row[0], row[0]], axis=-1)[None]
    assert top_entries(series, (4, 2))[0].startswith("step 1 6.0")
    picture = np.zeros((1, 5, 5, 1))
    picture[0, 2, 4] = 1.0
    assert top_entries(picture, (5, 5, 1))[0].startswith("pixel (2, 4) 1.0")
