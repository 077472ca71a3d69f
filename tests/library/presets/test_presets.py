import inspect
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvae
from kvae import objectives, posteriors, presets, priors

NAMES = sorted(name for name, _ in inspect.getmembers(presets, inspect.isfunction))
BERNOULLI = kvae.likelihoods.Bernoulli((28, 21))
TABLE = Path(__file__).parents[3] / "docs" / "presets.md"
FURTHER = {
    "vamp_vae": {"num_components": 7},
    "miwae": {"num_samples": 2, "groups": 2},
    "ciwae": {"num_samples": 4},
    "dfc_vae": {
        "feature_model": keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(3, "tanh")]
        )
    },
}


def make(name, x, **arguments):
    if name == "deep_vae":
        return presets.deep_vae(pictures(x), {1: 1, 2: 1}, width=4, seed=0, **arguments)
    networks = {
        "encoder": kvae.networks.mlp((6,), (8,)),
        "decoder": kvae.networks.mlp((3,), (8,), role="decoder"),
    }
    if name == "completing_vae":
        networks = {"masks": "random", "units": (8,)}
    further = {**networks, **FURTHER.get(name, {}), **arguments}
    return getattr(presets, name)(x, latent_dim=3, seed=0, **further)


def pictures(x):
    return np.repeat(x[:, :4].reshape(-1, 2, 2), 2, axis=1)  # (N, 4, 2)


@pytest.fixture
def x():
    return np.random.default_rng(0).integers(0, 2, (16, 6)).astype("float32")


@pytest.mark.parametrize("name", NAMES)
def test_preset_trains(name, x):
    vae = make(name, x)
    vae.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)
    before = [np.array(w) for w in vae.decoder.get_weights()]
    data = pictures(x) if name == "deep_vae" else x
    history = vae.fit(data, batch_size=16, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["elbo"]).all() == (name != "rae")
    moved = [
        not np.array_equal(a, b)
        for a, b in zip(before, vae.decoder.get_weights(), strict=True)
    ]
    assert any(moved)


@pytest.mark.parametrize("name", NAMES)
def test_preset_has_its_line_in_the_table_and_its_paper(name):
    rows = [r for r in TABLE.read_text().splitlines() if r.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    source = inspect.getdoc(getattr(presets, name)).split("Source:")[1]
    for paper in re.findall(r"arXiv:\d{4}\.\d{5}", rows[0]):
        assert paper in source


def test_table_lists_nothing_else():
    listed = re.findall(r"^\| `(\w+)` \|", TABLE.read_text(), re.MULTILINE)
    assert sorted(listed) == NAMES


def test_presets_are_the_parts_they_say(x):
    assert isinstance(make("vamp_vae", x).prior, priors.VampPrior)
    assert isinstance(
        make("iaf_vae", x).posterior, posteriors.InverseAutoregressiveFlow
    )
    assert make("sigma_vae", x).likelihood.scale == "optimal"
    info = make("info_vae", x, alpha=0.25, weight=10.0).objective
    assert float(info.weight) == 9.25
    assert float(info.objective.beta) == 0.75
    assert make("dreg_iwae", x).objective.gradient == "dreg"


def test_levels_of_deep_vae_are_those_of_halving():
    x = np.zeros((2, 28, 21), "float32")
    levels = {"7": 2, 1: 1, 4: 3}  # keys of recipes are strings
    vae = presets.deep_vae(x, levels, width=(4, 8, 4), likelihood=BERNOULLI)
    assert vae.decoder.maps.names == ("1x1", "4x3", "4x3", "4x3", "7x6", "7x6")
    found = presets.deep_vae(x, width=4, likelihood=BERNOULLI).decoder.levels
    assert found == ((1, 1, 1), (2, 2, 2), (4, 3, 2), (7, 6, 2))
    for wrong, words in (({5: 1}, "height 1, 2, 4, 7, 14, 28"), ({}, "a dict from")):
        with pytest.raises(ValueError, match=words):
            presets.deep_vae(x, wrong)
    with pytest.raises(ValueError, match="takes pictures"):
        presets.deep_vae(x[:, 0], levels)
    for asked in (False, True):  # one trunk computes the prior and the decoder
        vae = presets.deep_vae(
            x, {1: 1}, width=4, condition=np.array([0, 1]), conditional_prior=asked
        )
        assert vae.prior.conditional


@pytest.mark.slow
def test_deep_vae_learns_what_its_labels_say():
    """Labels that tell all of x cost no rate, and draws follow them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 64)
    x = np.repeat(labels, 64).reshape(64, 8, 8).astype("float32")
    vae = presets.deep_vae(
        x,
        {1: 1, 2: 1},
        width=8,
        latent_channels=1,
        likelihood=kvae.likelihoods.Bernoulli((8, 8)),
        condition=labels,
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(0.01))
    vae.fit({"x": x, "condition": labels}, epochs=20, batch_size=32, verbose=0)
    drawn = vae.sample(6, condition=np.array([0, 1, 0, 1, 1, 0]), seed=0)
    np.testing.assert_allclose(
        np.mean(drawn, axis=(1, 2)), [0, 1, 0, 1, 1, 0], atol=0.1
    )
    found = vae.evaluate({"x": x, "condition": labels}, verbose=0, return_dict=True)
    assert found["elbo"] > -5  # log 2 = 0.7 for the label alone
    assert found["rate"] < 0.5
    with pytest.raises(ValueError, match=r"conditioned on the labels 0, 1"):
        vae.sample(2)


def test_vamp_pseudo_examples_start_in_the_data(x):
    found = make("vamp_vae", x).prior._examples.numpy()
    rows = {row.tobytes() for row in x}
    assert all(row.tobytes() in rows for row in found)


def test_parts_may_replace_the_sampled_elbo(x):
    vae = make("iaf_vae", x, objective=objectives.IWAE(3))
    assert isinstance(vae.objective, objectives.IWAE)


def test_info_vae_refuses_to_reward_a_divergence(x):
    with pytest.raises(ValueError, match="alpha <= 1 and alpha \\+ weight >= 1"):
        make("info_vae", x, alpha=2.0)


@pytest.mark.usefixtures("eagerly")
def test_sizes_may_be_integers_of_numpy(tmp_path):
    two = np.int64(2)
    vae = kvae.VAE(
        kvae.networks.mlp((4,), (8,)),
        kvae.networks.mlp((2,), (8,), role="decoder"),
        kvae.posteriors.DiagonalNormal(two),
        kvae.likelihoods.Bernoulli((4,)),
        kvae.priors.GaussianMixture(two, np.int32(3)),
        kvae.objectives.ELBO(
            kvae.schedules.LinearWarmup(np.int64(5)), np.int64(1), kl="sampled"
        ),
    )
    vae.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    x = np.zeros((3, 4), "float32")
    np.testing.assert_array_equal(loaded.elbo(x), vae.elbo(x))


def table(num=40):
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)
    age = random.normal(40, 10, num)
    return pandas.DataFrame({"age": age, "job": random.choice(["boss", "cook"], num)})


@pytest.mark.parametrize("name", ["vamp_vae", "iwae"])
@pytest.mark.usefixtures("eagerly")
def test_presets_take_data_frames(name):
    frame = table()
    vae = getattr(presets, name)(frame, latent_dim=2, seed=0, **FURTHER.get(name, {}))
    vae.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)
    vae.fit(frame, epochs=1, batch_size=20, verbose=0)
    drawn = vae.sample(5, seed=0)
    assert (drawn.dtypes == frame.dtypes).all()
    assert set(drawn["job"]) <= {"boss", "cook"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sigma_vae", r"text or categories in the columns job"),
        ("miwae_imputer", r"VAE.for_data\(frame\) takes them"),
    ],
)
def test_presets_that_take_no_data_frames_say_so(name, words):
    make_preset, frame = getattr(presets, name), table()
    with pytest.raises(ValueError, match=words):
        make_preset(frame, latent_dim=2)


def test_the_total_correlation_counts_examples_in_every_form(x):
    for given in (x, {"x": x, "mask": np.ones_like(x)}):
        assert presets.beta_tc_vae(given, 2).objective.dataset_size == len(x)
    with pytest.raises(ValueError, match="takes examples in memory"):
        presets.beta_tc_vae(tf.data.Dataset.from_tensor_slices(x).batch(4), 2)
