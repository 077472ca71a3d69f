"""What a schema finds in a data frame, and that frames come back from numbers."""

import statistics

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.tables import Schema, TooManyLevels, read_table, write_parts, write_table

pd = pytest.importorskip("pandas")


def table(num: int = 600):
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 500, num), "D")
    frame = pd.DataFrame(
        {
            "height": rng.normal(170, 10, num).round(1),
            "income": np.exp(rng.normal(8, 1.5, num)).round(2),
            "gain": np.where(rng.random(num) < 0.7, 0, rng.integers(1, 9999, num)),
            "visits": rng.negative_binomial(1, 0.2, num),
            "married": rng.random(num) < 0.4,
            "job": rng.choice(["boss", "clerk", "cook"], num),
            "grade": pd.Categorical(
                rng.choice(["low", "high", "top"], num),
                ["low", "mid", "high", "top"],
                True,
            ),
            "rooms": rng.integers(1, 6, num),
            "day": days,
            "text_day": days.strftime("%Y-%m-%d"),
            "zoned": days.tz_localize("Europe/Berlin"),
            "code": pd.array(rng.integers(0, 10**6, num), "Int64"),
            "same": "x",
            "none": [None] * num,
        }
    )
    frame.loc[::7, "income"] = np.nan
    frame.loc[::5, "job"] = None
    frame.loc[::11, "day"] = pd.NaT
    frame.loc[::13, "code"] = pd.NA
    frame.loc[::17, "gain"] = np.nan
    return frame


def test_every_column_has_its_kind() -> None:
    kinds = {column.name: column.kind for column in Schema.of(table()).columns}
    assert kinds == {
        "height": "number",
        "income": "number",
        "gain": "number",
        "visits": "count",
        "married": "binary",
        "job": "category",
        "grade": "category",
        "rooms": "category",
        "day": "date",
        "text_day": "date",
        "zoned": "date",
        "code": "number",
        "same": "constant",
        "none": "empty",
    }


def test_numbers_and_back_are_the_frame_again() -> None:
    frame = table()
    schema = Schema.of(frame)
    numbers = schema.encode(frame[frame.columns[::-1]])  # names decide, not the order
    assert numbers.shape == (600, len(schema.entries()))
    again = schema.decode(np.nan_to_num(numbers))
    # A float32 score resolves a heavy tail to six digits.
    pd.testing.assert_frame_equal(again, frame, rtol=1e-5)


def test_scores_of_a_skewed_column_are_normal_and_increase_with_it() -> None:
    frame = table()
    schema = Schema.of(frame)
    entry = [e["name"] for e in schema.entries()].index("income")
    seen = frame["income"].notna()
    score = schema.encode(frame)[seen, entry]
    ranks = frame["income"][seen].rank().to_numpy()
    assert (np.diff(score[np.argsort(ranks)]) >= 0).all()
    normal = statistics.NormalDist()
    expected = [normal.inv_cdf((r - 0.5) / seen.sum()) for r in ranks]
    assert np.abs(score - expected).max() < 0.05  # between knots it is a line


def test_common_and_missing_values_have_indicators_and_hide_the_score() -> None:
    frame = table()
    schema = Schema.of(frame)
    names = [entry["name"] for entry in schema.entries()]
    numbers = schema.encode(frame)
    missing, common, score = (
        numbers[:, names.index(name)]
        for name in ("gain is missing", "gain is common", "gain")
    )
    np.testing.assert_array_equal(missing == 1, frame["gain"].isna())
    np.testing.assert_array_equal(np.isnan(common), frame["gain"].isna())
    np.testing.assert_array_equal(common == 1, frame["gain"] == 0)
    np.testing.assert_array_equal(np.isnan(score), ~(frame["gain"] > 0))


def test_the_schema_prints_and_is_stored_as_json() -> None:
    schema = Schema.of(table())
    assert Schema.from_json(schema.to_json()) == schema
    lines = str(schema).splitlines()
    assert len(lines) == 15
    assert "14.3%" in lines[2]
    assert "by quantiles, heavy tails" in lines[2]
    assert "1 of them common" in lines[3]
    assert "close to normal" in lines[1]


def test_kinds_can_be_told() -> None:
    frame = table()
    kinds = {"rooms": "number", "code": "ignored", "married": "category"}
    schema = Schema.of(frame, kinds=kinds)
    found = {column.name: column.kind for column in schema.columns}
    assert kinds.items() <= found.items()
    again = schema.decode(np.nan_to_num(schema.encode(frame)))
    assert list(again.columns) == [n for n in frame.columns if n != "code"]
    with pytest.raises(ValueError, match="kinds names the column 'room'"):
        Schema.of(frame, kinds={"room": "number"})
    with pytest.raises(ValueError, match="must be one of number, count"):
        Schema.of(frame, kinds={"rooms": "float"})
    with pytest.raises(ValueError, match="'job' must hold numbers"):
        Schema.of(frame, kinds={"job": "number"})
    with pytest.raises(ValueError, match="'rooms' is not binary"):
        Schema.of(frame, kinds={"rooms": "binary"})
    with pytest.raises(ValueError, match="told to be a count"):
        Schema.of(frame, kinds={"height": "count"})


def test_what_cannot_be_learned_is_refused_by_name() -> None:
    names = pd.DataFrame({"name": [f"Ann {i}" for i in range(50)], "age": range(50)})
    with pytest.raises(TooManyLevels, match="'name' holds 50 different texts in 50"):
        Schema.of(names)
    assert Schema.of(names, kinds={"name": "ignored"}).entries() == [
        {"name": "age", "kind": "real"}
    ]
    with pytest.raises(ValueError, match="no column that a model could learn from"):
        Schema.of(pd.DataFrame({"a": [1, 1], "b": [None, None]}))
    with pytest.raises(ValueError, match="holds objects such as"):
        Schema.of(pd.DataFrame({"a": [[1], [2]]}))
    with pytest.raises(ValueError, match="holds infinite numbers"):
        Schema.of(pd.DataFrame({"a": [1.5, np.inf, 2.5]}))
    with pytest.raises(ValueError, match="holds no rows"):
        Schema.of(names[:0])
    with pytest.raises(ValueError, match="several columns named 'a'"):
        Schema.of(pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]))


def test_other_frames_than_that_of_the_model_are_refused_by_name() -> None:
    frame = table()
    schema = Schema.of(frame)
    with pytest.raises(ValueError, match="no column 'job', which the data"):
        schema.encode(frame.drop(columns="job"))
    with pytest.raises(ValueError, match="had no column 'extra'"):
        schema.encode(frame.assign(extra=1))
    with pytest.raises(ValueError, match="'job' holds 'chef' in 600 rows"):
        schema.encode(frame.assign(job="chef"))
    with pytest.raises(ValueError, match="'day' must hold dates"):
        schema.encode(frame.assign(day="soon"))
    some = schema.encode(frame[["rooms"]], some=True)
    assert np.isfinite(some).sum() == 600


def test_numbers_outside_the_data_continue_the_ends() -> None:
    frame = pd.DataFrame({"a": np.exp(np.random.default_rng(1).normal(size=500))})
    schema = Schema.of(frame)
    low, high = frame["a"].min(), frame["a"].max()
    outside = schema.encode(pd.DataFrame({"a": [low - 1, low, high, high + 1]}))[:, 0]
    assert np.isfinite(outside).all()
    assert (np.diff(outside) > 0).all()
    drawn = schema.decode(np.array([[-50.0], [50.0]]))["a"]  # but samples stay inside
    np.testing.assert_allclose(drawn, [low, high])


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".parquet"])
def test_files_hold_the_table_again(tmp_path, ending: str) -> None:
    frame = table(40).drop(columns=["none", "zoned", "grade", "code", "day", "gain"])
    path = tmp_path / f"table{ending}"
    write_table(frame, path)
    pd.testing.assert_frame_equal(read_table(path), frame, check_dtype=False)
    write_parts((frame[i : i + 15] for i in range(0, 40, 15)), path)
    pd.testing.assert_frame_equal(read_table(path), frame, check_dtype=False)


def test_files_of_spreadsheets_and_of_to_csv_are_read(tmp_path) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    frame.to_csv(tmp_path / "index.csv")
    frame.to_csv(tmp_path / "semicolon.csv", sep=";", index=False)
    for name in ("index.csv", "semicolon.csv"):
        assert read_table(tmp_path / name).equals(frame)
    with pytest.raises(UserError, match="there is no file"):
        read_table(tmp_path / "other.csv")
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(UserError, match="not a readable table"):
        read_table(tmp_path / "bad.parquet")
    with pytest.raises(UserError, match="tables are written to"):
        write_table(frame, tmp_path / "a.xlsx")


def test_arrays_that_may_hold_values_of_the_table_are_refused(caplog):
    """Here the encoded rows have the shape of the table, so the numbers must tell."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": random.normal(50, 10, 200), "share": random.uniform(0, 1, 200)}
    )
    schema = Schema.of(frame)
    encoded = schema.encode(frame)
    assert encoded.shape == frame.shape
    np.testing.assert_array_equal(schema.inputs(encoded).x, encoded)
    for wrong in (frame.to_numpy(), frame.to_numpy()[:, :1], encoded[0]):
        with pytest.raises(ValueError, match="frame with the columns a, share"):
            schema.inputs(wrong)
    text = frame.assign(a="x").to_numpy()
    with pytest.raises(ValueError, match="dtype object. Pass a data frame"):
        schema.inputs({"x": text})
    assert not caplog.messages
    schema.inputs(frame[["share", "a"]].to_numpy("float32")[:, ::-1])
    assert "looks like the values of the table" in caplog.messages[0]


def test_arrays_of_another_width_than_the_table_are_clear():
    frame = pd.DataFrame({"a": [*np.arange(60) * 1.5, *[None] * 20], "b": [0, 1] * 40})
    schema = Schema.of(frame)
    encoded = schema.encode(frame)
    assert encoded.shape == (80, 3)  # an indicator of what is missing
    found = schema.inputs(encoded.astype("float64"))
    np.testing.assert_array_equal(found.mask, ~np.isnan(encoded))
    with pytest.raises(ValueError, match="arrays of 3 encoded numbers per row"):
        schema.inputs(frame.to_numpy("float32"))
