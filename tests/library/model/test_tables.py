"""A model of a table takes and returns data frames."""

import keras
import numpy as np
import pytest

import kvae
from kvae import evaluation
from kvae.completion import inputs as completion_inputs
from kvae.core import batches
from kvae.likelihoods import Columns
from kvae.model import table_rows
from kvae.tables import Schema

pd = pytest.importorskip("pandas")


def table(num: int = 800, seed: int = 0):
    """`b` follows `a`, `class` follows the sign of `a`; `c` is missing at random."""
    rng = np.random.default_rng(seed)
    a = rng.normal(50, 10, num).round(1)
    frame = pd.DataFrame(
        {
            "a": a,
            "b": np.exp(a / 10 + rng.normal(0, 0.2, num)).round(2),
            "class": np.where(a + rng.normal(0, 2, num) > 50, "good", "bad"),
            "rooms": rng.integers(1, 6, num),
            "c": (a + rng.normal(0, 1, num)).round(1),
        }
    )
    frame.loc[rng.random(num) < 0.2, "c"] = np.nan
    return frame


@pytest.fixture(scope="module")
def vae():
    keras.utils.set_random_seed(0)
    frame = table()
    model = kvae.VAE.for_data(frame, latent_dim=4, seed=0)
    model.compile(keras.optimizers.Adam(3e-3), steps_per_execution=16)
    model.fit(frame, epochs=25, batch_size=50, verbose=0)
    return model


def test_for_data_chooses_columns_and_says_what_it_found(vae) -> None:
    assert isinstance(vae.likelihood, Columns)
    assert vae.schema == Schema.of(table())
    assert "800 rows of columns: 3 number, 1 binary, 1 category" in vae.reasons["x"]


def test_frames_are_measured_as_the_numbers_that_the_schema_makes_of_them(vae) -> None:
    frame = table(100, seed=1)
    x = vae.schema.encode(frame)
    known = ~np.isnan(x)
    by_hand = {"x": np.where(known, x, 0), "mask": known}
    np.testing.assert_array_equal(vae.elbo(frame), vae.elbo(by_hand))
    np.testing.assert_array_equal(vae.embed(frame), vae.embed(by_hand))
    np.testing.assert_array_equal(vae.elbo(frame), vae.elbo(x))  # NaN is hidden
    evaluated = vae.evaluate(frame, verbose=0, return_dict=True)
    assert np.isclose(evaluated["elbo"], vae.elbo(frame).mean(), atol=0.5)


@pytest.mark.slow
def test_evaluations_and_completions_read_frames_too(vae) -> None:
    frame = table(30, seed=5)
    x = vae.schema.encode(frame)
    by_frame, by_array = (evaluation.log_likelihood(vae, v, 20) for v in (frame, x))
    np.testing.assert_array_equal(by_frame.per_example, by_array.per_example)
    assert evaluation.elbo(vae, frame).elbo == evaluation.elbo(vae, x).elbo
    completed = vae.complete(frame, "random", num=2)
    assert completed.x.shape == (30, 2, 6)
    assert evaluation.impute(vae, frame, num_samples=20).single.shape == (30, 6)


def test_samples_are_rows_as_those_of_the_data(vae) -> None:
    frame, drawn = table(), vae.sample(2000, seed=0)
    assert list(drawn.columns) == list(frame.columns)
    assert (drawn.dtypes == frame.dtypes).all()
    assert set(drawn["class"]) == {"good", "bad"}
    assert set(drawn["rooms"]) <= {1, 2, 3, 4, 5}
    # 2000 draws and 800 rows: standard errors of 0.009 and 0.014.
    assert abs(drawn["c"].isna().mean() - frame["c"].isna().mean()) < 0.07
    assert abs((drawn["class"] == "good").mean() - 0.5) < 0.1
    assert np.corrcoef(drawn["a"], np.log(drawn["b"]))[0, 1] > 0.8
    assert drawn["b"].between(frame["b"].min(), frame["b"].max()).all()
    again = vae.sample(2000, seed=0)
    pd.testing.assert_frame_equal(drawn, again)
    with pytest.raises(ValueError, match="a table has no mean row"):
        vae.sample(3, mean=True)


def test_samples_are_drawn_in_several_calls(vae) -> None:
    drawn = vae.sample(250, seed=3, batch_size=100)
    parts = [
        vae.sample(num, seed=3, batch_size=100, first=first)
        for first, num in ((0, 100), (100, 150))
    ]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), drawn)
    with pytest.raises(ValueError, match="draw all rows at once"):
        vae.sample(10, condition={"class": "good"}, first=10)


@pytest.mark.slow
def test_conditional_samples_keep_what_is_given_and_follow_it(vae) -> None:
    frame = table()
    good = vae.sample(400, seed=0, condition={"class": "good"})
    bad = vae.sample(400, seed=0, condition={"class": "bad"})
    assert (good["class"] == "good").all()
    real = frame.groupby("class")["a"].mean()
    assert abs(good["a"].mean() - real["good"]) < 2.5
    assert abs(bad["a"].mean() - real["bad"]) < 2.5
    rows = vae.sample(condition=frame[["a", "rooms"]].iloc[:50], seed=0)
    np.testing.assert_allclose(rows["a"], frame["a"][:50], atol=0.051)
    assert np.corrcoef(rows["a"], np.log(rows["b"]))[0, 1] > 0.8
    with pytest.raises(ValueError, match="holds 'fair' in 1 rows"):
        vae.sample(1, condition={"class": "fair"})
    with pytest.raises(ValueError, match="had no column 'klass'"):
        vae.sample(1, condition={"klass": "good"})
    with pytest.raises(ValueError, match="one row, or one for each"):
        vae.sample(3, condition=frame[["a"]].iloc[:2])
    with pytest.raises(ValueError, match="a value of at least one column"):
        vae.sample(3, condition={"a": None})


@pytest.mark.slow
def test_imputed_values_are_near_those_that_were_removed(vae) -> None:
    whole = table(200, seed=2).dropna()
    holes = whole.copy()
    holes.loc[holes.index[::2], "c"] = np.nan
    filled = vae.impute(holes)
    assert not filled.isna().any().any()
    assert (filled.dtypes == whole.dtypes).all()
    seen = holes.notna()
    assert filled.where(seen).equals(holes)
    error = (filled["c"] - whole["c"])[~seen["c"]]
    assert np.sqrt(np.mean(error**2)) < 0.5 * whole["c"].std()  # noise alone: 0.1
    without = whole.assign(**{"class": None})
    named = vae.impute(without)["class"]
    assert (named == whole["class"]).mean() > 0.8
    draws = vae.impute(holes, draw=True)
    assert draws["c"].std() >= filled["c"].std()
    assert vae.impute(whole).equals(whole)
    x = np.zeros((9, 3), "float32") + np.arange(9, dtype="float32")[:, None]
    with pytest.raises(ValueError, match="not a model of a table"):
        kvae.VAE.for_data(x).impute(whole)


@pytest.mark.slow
def test_imputed_values_average_the_draws_of_each_block(vae, monkeypatch) -> None:
    """The mean and the most frequent value of decoded draws, by pandas."""
    monkeypatch.setattr(table_rows, "_ROWS", 20)
    holes = table(45, seed=3).assign(rooms=float("nan"))
    holes.loc[::3, "class"] = None
    filled = vae.impute(holes, num=9, seed=4)
    x, frames = vae.schema.encode(holes), []
    for block, start in enumerate((0, 20, 40)):
        part = x[start : start + 20]
        known = ~np.isnan(part)
        drawn = vae.complete(
            np.where(known, part, 0), known, 9, 4 + block, mean=False
        ).x
        frames.append(vae.schema.decode(drawn.reshape(-1, 6), with_missing=False))
    draws = pd.concat(frames, ignore_index=True)
    by_row = draws.groupby(np.arange(len(draws)) // 9)
    modes = by_row[["class", "rooms"]].agg(lambda v: v.mode()[0])
    assert (filled["rooms"] == modes["rooms"]).all()
    assert (filled["class"] == modes["class"])[::3].all()
    lost = holes["c"].isna()
    means = by_row["c"].mean().round(1)
    np.testing.assert_allclose(filled["c"][lost], means[lost], atol=1e-9)


def test_a_column_of_many_levels_makes_smaller_batches(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=600), "city": np.arange(600) % 30})
    frame["city"] = "city " + frame["city"].astype(str)
    model = kvae.VAE.for_data(frame, latent_dim=2, seed=0)
    sizes = []

    def map_batches(function, inputs, batch_size, *args):
        sizes.append(batch_size)
        return batches.map_batches(function, inputs, batch_size, *args)

    monkeypatch.setattr(completion_inputs, "map_batches", map_batches)
    monkeypatch.setattr(completion_inputs, "_ENTRIES", 4 * 30 * 50)
    found = evaluation.impute(model, frame[:10], "random", num_samples=50)
    assert sizes == [4]  # of 30 levels and 50 latents each
    assert found.single.shape == (10, 2)


def test_frames_are_reconstructed_by_their_most_probable_values(vae) -> None:
    frame = table(100, seed=3)
    again = vae.reconstruct(frame)
    assert set(again["class"]) <= {"good", "bad"}
    assert np.corrcoef(again["a"], frame["a"])[0, 1] > 0.8
    assert vae.reconstruct(vae.schema.encode(frame)).shape == (100, 6)


def test_the_schema_is_saved_with_the_model_and_kept_by_another_prior(
    vae, tmp_path
) -> None:
    vae.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    frame = table(50, seed=4)
    assert loaded.schema == vae.schema
    np.testing.assert_allclose(loaded.elbo(frame), vae.elbo(frame), rtol=1e-5)
    fitted = kvae.fit_prior(vae, frame, "mixture", num_components=3)
    assert fitted.sample(5, seed=0).shape == (5, 5)


def test_a_told_schema_and_a_likelihood_of_ones_own() -> None:
    frame = table(100)
    schema = Schema.of(frame, kinds={"class": "ignored", "rooms": "number"})
    model = kvae.VAE.for_data(frame, schema=schema)
    assert model.schema is schema
    assert "class" not in model.schema.decode(np.zeros((1, len(schema.entries()))))
    numbers = frame[["a", "b"]]
    normal = kvae.likelihoods.Normal((2,), scale="per_dimension")
    plain = kvae.VAE.for_data(numbers, likelihood=normal)
    assert plain.schema is None
    assert plain.sample(3).shape == (3, 2)
