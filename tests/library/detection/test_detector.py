"""The detector: what it promises, saves, refuses, and says."""

import logging

import keras
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian

from kvae import VAE, detection, reports
from kvae.core.errors import UserError
from kvae.detection import scores


@pytest.fixture(scope="module")
def normal(exact):
    return exact.sample(1200, seed=1)


@pytest.fixture(scope="module")
def detector(vae, normal):
    return detection.Detector(vae, "elbo").calibrate(normal)


def band(alpha: float, n: int, m: int) -> float:
    """Four standard deviations of the share of alarms among m, calibrated with n.

    The share has a beta-binomial law: its variance is that of the m examples plus that
    of the calibration set.
    """
    return 4 * float(np.sqrt(alpha * (1 - alpha) * (1 / m + 1 / n)))


@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_normal_examples_raise_the_promised_share_of_alarms(exact, detector, alpha):
    found = detector.detect(exact.sample(4000, seed=2), alpha)
    assert abs(found.is_anomaly.mean() - alpha) < band(alpha, 1200, 4000)
    assert found.num_anomalies == found.is_anomaly.sum()
    np.testing.assert_array_equal(found.is_anomaly, found.score > found.threshold)
    np.testing.assert_array_equal(found.is_anomaly, found.p_value <= alpha)


def test_a_bad_score_keeps_the_promise_too(exact, vae, normal):
    class FirstColumn(scores.Score):
        """Anything."""

        name, unit = "first", "units"

        def compute(self, model, inputs, key, fitted):
            return inputs.x[:, 0]

    detector = detection.Detector(vae, FirstColumn()).calibrate(normal)
    found = detector.detect(exact.sample(4000, seed=3), alpha=0.05)
    assert abs(found.is_anomaly.mean() - 0.05) < band(0.05, 1200, 4000)


def test_anomalies_are_found_and_the_worst_come_first(exact, detector):
    x = exact.sample(50, seed=4)
    x[7] += 20.0
    x[9] += 10.0
    found = detector.detect(x, alpha=0.01)
    assert found.is_anomaly[[7, 9]].all()
    assert found.worst(2).tolist() == [7, 9]
    assert found.p_value[7] == pytest.approx(1 / 1201)
    assert found.discoveries(0.1)[[7, 9]].all()


def test_attribution_names_the_entry(exact, detector):
    x = exact.sample(30, seed=5)
    x[:, 1] += 6.0  # the only column of the second latent
    x[:, 2] -= 4.0  # disagrees with the first column
    found = detector.detect(x, alpha=0.1, attribution=True)
    assert found.attribution.shape == x.shape
    worst = found.attribution.argmax(axis=1)
    assert (worst != 1).mean() > 0.9  # z explains a lone column
    assert found.attribution[:, 2].mean() > 3


def test_saved_detectors_make_the_same_decisions(exact, vae, normal, tmp_path):
    detector = detection.Detector(vae, "latent_distance", seed=3).calibrate(normal)
    detector.save(tmp_path / "d")
    loaded = detection.Detector.load(tmp_path / "d")
    x = exact.sample(40, seed=6)
    a, b = (d.detect(x, 0.05, attribution=True) for d in (detector, loaded))
    for name in ("score", "p_value", "is_anomaly"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_allclose(a.attribution, b.attribution, atol=1e-5)
    assert repr(loaded) == repr(detector)
    with pytest.raises(FileExistsError):
        detector.save(tmp_path / "d")


def test_a_background_model_is_saved_too(vae, normal, tmp_path):
    wide = LinearGaussian.orthogonal(noise=2.0).vae()
    detector = detection.Detector(vae, scores.BackgroundRatio(wide)).calibrate(normal)
    detector.save(tmp_path / "d")
    loaded = detection.Detector.load(tmp_path / "d")
    np.testing.assert_array_equal(loaded.score(normal[:9]), detector.score(normal[:9]))


def test_a_folder_that_is_damaged_or_another_is_refused(vae, normal, tmp_path):
    with pytest.raises(UserError, match=r"Detector\.save"):
        detection.Detector.load(tmp_path)
    detector = detection.Detector(vae, "elbo").calibrate(normal)
    detector.save(tmp_path / "d")
    (tmp_path / "d/detector.npz").write_bytes(b"PK not a zip")
    with pytest.raises(UserError, match="damaged"):
        detection.Detector.load(tmp_path / "d")


def test_bad_data_are_refused(exact, vae, detector, normal):
    nan = normal[:30].copy()
    nan[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite, the first in example 3"):
        detector.detect(nan)
    with pytest.raises(ValueError, match="NaN"):
        detection.Detector(vae).calibrate(nan)
    with pytest.raises(ValueError, match=r"examples of shape \(3,\)"):
        detector.detect(np.zeros((4, 5), "float32"))
    with pytest.raises(ValueError, match="needs at least 1999 calibration"):
        detector.detect(normal[:3], alpha=0.0005)
    with pytest.raises(ValueError, match="needs at least 19 normal examples"):
        detection.Detector(vae, "elbo").calibrate(normal[:18])
    with pytest.raises(ValueError, match="at least 40"):
        detection.Detector(vae, "latent_distance").calibrate(normal[:39])
    with pytest.raises(ValueError, match="isn't calibrated"):
        detection.Detector(vae, "elbo").detect(normal)
    with pytest.raises(TypeError, match=r"kvae\.VAE"):
        detection.Detector("model.keras")


def test_training_data_in_the_calibration_are_warned_of(vae, normal, caplog):
    with caplog.at_level(logging.WARNING, "kvae"):
        detection.Detector(vae, "elbo").calibrate(normal[:100], x_train=normal[90:])
    assert "10 of 100 calibration examples are among the training data" in caplog.text
    caplog.clear()
    detection.Detector(vae, "elbo").calibrate(normal[:100], x_train=normal[100:])
    assert not caplog.records


def test_one_line_says_what_was_calibrated_with_what(vae, normal, capsys):
    detection.Detector(vae, "latent_distance").calibrate(normal)
    said = capsys.readouterr().out
    assert "fitted to 600 normal examples, calibrated with 600" in said
    assert "alpha can be 0.0017 or more" in said
    detection.Detector(vae, "latent_distance").calibrate(normal[:99], normal[200:])
    assert "fitted to 1000 training examples" in capsys.readouterr().out


def test_the_level_of_the_best_threshold_makes_its_decisions(exact, detector):
    x = np.concatenate([exact.sample(300, seed=7), exact.sample(30, seed=8) + 4])
    labels = np.arange(330) >= 300
    best = detector.best_threshold(x, labels, false_alarm=1.0, miss=5.0)
    found = detector.detect(x, alpha=best.p_value)
    assert found.is_anomaly[:300].mean() == pytest.approx(
        best.false_alarm_rate, abs=0.01
    )
    assert (~found.is_anomaly[300:]).mean() == pytest.approx(best.miss_rate, abs=0.07)


def test_groups_that_are_slightly_unusual_are_found_and_others_keep_the_level(
    exact, detector
):
    """Forty normal groups of 25, two whose columns are half a standard deviation off."""
    x = exact.sample(42 * 25, seed=9)
    groups = np.repeat(np.arange(42), 25)
    x[groups >= 40] *= 1.5
    names, found = detector.detect_groups(x, groups, alpha=0.02)
    assert names.tolist() == list(range(42))
    assert found.is_anomaly[40:].all()
    assert found.is_anomaly[:40].sum() <= 4  # P(Binomial(40, 0.02) > 4) = 0.0006
    assert found.score[3] == pytest.approx(detector.score(x[groups == 3]).mean())
    x[groups < 20] *= 0.3  # too typical: only the two-sided test minds
    _, one = detector.detect_groups(x, groups)
    _, two = detector.detect_groups(x, groups, two_sided=True)
    assert not one.is_anomaly[:20].any()
    assert two.is_anomaly[:20].all()


def test_the_permutation_test_is_exact():
    """P(p <= alpha) of 400 normal groups of 7 against 60 calibration scores each."""
    random = np.random.default_rng(0)
    p = []
    for _ in range(400):
        pool = random.standard_t(2, 67)
        _, _, found = detection.groups.group_p_values(
            pool[:7], np.zeros(7), pool[7:], alpha=0.2
        )
        p.append(found[0])
    error = np.sqrt(0.1 * 0.9 / 400)
    assert abs(np.mean(np.array(p) <= 0.1) - 0.1) < 4 * error


@pytest.mark.slow
def test_data_frames_are_taken_as_they_are():
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    age = random.normal(40, 10, 300)
    frame = pandas.DataFrame(
        {
            "age": age,
            "income": 60 * age + random.normal(0, 200, 300),
            "city": random.choice(["Bonn", "Oslo"], 300),
        }
    )
    frame.loc[3:6, "income"] = np.nan
    keras.utils.set_random_seed(0)
    vae = VAE.for_data(frame, latent_dim=2)
    detector = detection.Detector(vae).calibrate(frame)
    new = frame[:30].copy()
    new.loc[9, "income"] = 60_000.0
    found = detector.detect(new, alpha=0.02, attribution=True)
    assert found.worst(1) == 9
    names = [column["name"] for column in vae.likelihood.columns]
    assert names[found.attribution[9].argmax()] == "income"
    assert (found.attribution[3:7, names.index("income")] == 0).all()  # missing

    # A level that no one has seen is impossible, wherever it is, and named as such.
    other = new.assign(city=new["city"].where(new.index != 5, "Rome"))
    with pytest.raises(ValueError, match="holds 'Rome' in 1 rows"):
        vae.elbo(other)
    strange = detector.detect(other, alpha=0.02, attribution=True)
    assert np.isinf(strange.score[5])
    assert strange.is_anomaly[5]
    assert np.isinf(strange.attribution[5]).tolist() == [n == "city" for n in names]
    rest = np.arange(30) != 5
    np.testing.assert_allclose(strange.score[rest], found.score[rest], rtol=1e-6)
    page = reports.anomaly_report(detector, other, strange)
    assert "city inf" in page
