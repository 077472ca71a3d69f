import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance.likelihood_specimens import COLUMNS, table
from scipy import special, stats

import kvae
from kvae.likelihoods import Columns
from kvae.networks import mlp


@pytest.fixture
def part():
    keras.utils.set_random_seed(0)
    return Columns(COLUMNS, dtype="float64")


@pytest.fixture
def features():
    return tf.constant(np.random.default_rng(0).normal(size=(50, 4)))


def test_log_prob_is_the_sum_of_scipys_forms_column_by_column(part, features):
    params = part(features)
    p = {name: value.numpy() for name, value in params.items()}
    x = table(np.random.default_rng(1), 50).astype("float64")
    m, r = np.exp(p["count_log_mean"][:, 0]), p["count_total_count"][:, 0]
    share = p["fraction_logits"][:, 0]
    expected = [
        stats.norm.logpdf(x[:, 0], p["real_loc"][:, 0], p["real_scale"][:, 0]),
        stats.bernoulli.logpmf(x[:, 1], special.expit(p["binary_logits"][:, 0])),
        stats.norm.logpdf(x[:, 2], p["real_loc"][:, 1], p["real_scale"][:, 1]),
        stats.nbinom.logpmf(x[:, 3], r, r / (r + m)),
        special.log_softmax(p["categorical_logits"][:, 0], axis=-1)[
            np.arange(50), x[:, 4].astype(int)
        ],
        stats.t.logpdf(
            x[:, 5], 4.0, p["heavy_tailed_loc"][:, 0], p["heavy_tailed_scale"][:, 0]
        ),
        share * x[:, 6] - np.log(np.expm1(share) / share),
        stats.norm.logpdf(x[:, 7], p["real2_loc"][:, 0], p["real2_scale"][:, 0]),
    ]
    np.testing.assert_allclose(
        part.entry_log_prob(params, tf.constant(x)),
        np.stack(expected, axis=-1),
        rtol=1e-8,
    )
    np.testing.assert_allclose(
        part.log_prob(params, x), np.sum(expected, axis=0), rtol=1e-8
    )


def test_groups_hold_columns_of_like_kind_in_order(part):
    assert part.groups == {
        "real": ["height", "weight"],
        "binary": ["sex"],
        "count": ["visits"],
        "categorical": ["ward"],
        "heavy_tailed": ["income"],
        "fraction": ["share"],
        "real2": ["age"],
    }


def test_order_of_the_columns_does_not_matter(part, features):
    order = np.random.default_rng(3).permutation(len(COLUMNS))
    # Groups come in order of appearance, so weights are matched by the group's columns.
    shuffled = Columns([COLUMNS[i] for i in order], dtype="float64")
    params, other = part(features), shuffled(features)
    at = {n: (g, i) for g, names in part.groups.items() for i, n in enumerate(names)}
    matched = {}
    for group, names in shuffled.groups.items():
        source = at[names[0]][0]
        places = [at[name][1] for name in names]
        for key in [k for k in other if k.startswith(f"{group}_")]:
            value = params[key.replace(f"{group}_", f"{source}_", 1)]
            matched[key] = tf.gather(value, places, axis=1)
    x = table(np.random.default_rng(1), 50)
    np.testing.assert_allclose(
        shuffled.log_prob(matched, x[:, order]), part.log_prob(params, x), rtol=1e-12
    )
    np.testing.assert_allclose(
        shuffled.mean(matched), part.mean(params).numpy()[:, order], rtol=1e-12
    )


def test_missing_entries_count_column_by_column(part, features):
    params = part(features)
    x = table(np.random.default_rng(1), 50)
    mask = np.random.default_rng(2).integers(0, 2, x.shape)
    single = part.entry_log_prob(params, tf.constant(x, "float64")).numpy()
    np.testing.assert_allclose(
        part.log_prob(params, np.where(mask, x, np.nan), mask),
        np.sum(single * mask, axis=1),
        rtol=1e-12,
    )


def test_draws_are_in_the_order_of_the_columns(part, features):
    draws = part.distribution(part(features)).sample(200, seed=[1, 2]).numpy()
    assert set(np.unique(draws[..., 1])) == {0.0, 1.0}
    assert set(np.unique(draws[..., 4])) == {0.0, 1.0, 2.0}
    assert np.array_equal(draws[..., 3], draws[..., 3].round())
    assert draws[..., 3].max() > 2
    assert draws[..., 6].min() > 0
    assert draws[..., 6].max() < 1
    assert draws[..., 0].min() < 0


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, np.inf, r"column 'height' \(real\)"),
        (1, 0.5, r"column 'sex' \(binary\).*pixels that are 0 or 1"),
        (3, 1.5, r"column 'visits' \(count\).*counts 0, 1, 2"),
        (4, 3, r"column 'ward' \(categorical\).*level numbers 0, 1, ..., 2"),
        (7, -np.inf, r"column 'age' \(real\)"),
    ],
)
def test_errors_name_the_column(part, column, value, message):
    x = table(np.random.default_rng(1), 10)
    x[4, column] = value
    with pytest.raises(ValueError, match=message):
        part.check_support(x)
    mask = np.ones_like(x)
    mask[4, column] = 0
    part.check_support(x, mask)


def test_config_is_the_list_and_survives_json(part):
    config = json.loads(json.dumps(part.get_config()))
    assert config["columns"] == COLUMNS
    assert Columns.from_config(config).groups == part.groups


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], "list with one dict per column"),
        ([{"kind": "real"}], 'dict with a "name"'),
        ([{"name": "a", "kind": "rael"}], "column 'a' must be of a kind in .*'rael'"),
        ([{"name": "a", "kind": "real"}] * 2, r"every name once; received \['a'\]"),
        ([{"name": "a", "kind": "categorical"}], r"columns \['a'\].*levels"),
        ([{"name": "a", "kind": "real", "scale": -1}], r"columns \['a'\].*scale"),
        ([{"name": "a", "kind": "binary", "levels": 2}], r"columns \['a'\].*levels"),
    ],
)
def test_wrong_columns_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        Columns(columns)


@pytest.mark.slow
def test_a_table_with_holes_trains_and_fills_them_in():
    rng = np.random.default_rng(0)
    z = rng.normal(size=400)
    x = np.stack(
        [z + 0.1 * rng.normal(size=400), z > 0, rng.poisson(np.exp(z)), -z], axis=-1
    ).astype("float32")
    columns = [
        {"name": "a", "kind": "real"},
        {"name": "b", "kind": "binary"},
        {"name": "c", "kind": "count"},
        {"name": "d", "kind": "real"},
    ]
    mask = (rng.uniform(size=x.shape) > 0.2).astype("float32")
    mask[mask.sum(axis=1) == 0, 0] = 1  # rows without an entry are refused
    holes = np.where(mask, x, np.nan)
    keras.utils.set_random_seed(0)
    vae = kvae.VAE(
        mlp((4,), (32,)),
        mlp((1,), (32,), role="decoder"),
        kvae.posteriors.DiagonalNormal(1),
        Columns(columns),
        seed=0,
    )
    vae.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    vae.fit({"x": holes, "mask": mask}, epochs=40, batch_size=50, verbose=0)
    filled = vae.reconstruct({"x": holes, "mask": mask})
    missing = mask[:, 0] == 0
    error = np.mean((filled[missing, 0] - x[missing, 0]) ** 2)
    assert error < 0.5 * np.var(x[missing, 0])


def test_checking_support_takes_each_group_at_once(monkeypatch):
    columns = [{"name": f"c{i}", "kind": "binary"} for i in range(300)]
    part = Columns(columns)
    calls = []
    inner = part._parts[0]
    check = inner.check_support
    monkeypatch.setattr(
        inner, "check_support", lambda x, mask: calls.append(x.shape) or check(x, mask)
    )
    x = np.zeros((4, 300), "float32")
    part.check_support(x, np.ones_like(x))
    assert calls == [(4, 300)]
    x[2, 17] = 0.5
    with pytest.raises(ValueError, match="column 'c17'"):
        part.check_support(x)
    part.check_support(x, (x != 0.5).astype("float32"))


def test_numbers_of_numpy_group_as_those_of_python():
    levels = (4, np.int64(4))
    columns = [
        {"name": f"c{i}", "kind": "categorical", "levels": n}
        for i, n in enumerate(levels)
    ]
    assert len(Columns(columns)._parts) == 1
