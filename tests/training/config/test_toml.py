"""TOML in and out."""

import pathlib
import tomllib

import pytest

from kvae.core.errors import UserError
from kvae.training.config.toml import assign, parse_setting, read_toml, to_toml

VALUES = {
    "text": 'a "quoted" \\ path\nand a line \x7f \x01 ü',
    "yes": True,
    "count": 3,
    "rate": 1e-05,
    "numbers": [1, 2.5, -3],
    "prior": {"name": "VampPrior", "num_components": 500, "inner": {"name": "a b"}},
    "odd key": {"x.y": 1},
}


def test_what_is_written_reads_back_unchanged() -> None:
    plain = {key: value for key, value in VALUES.items() if key != "odd key"}
    assert tomllib.loads(to_toml(plain | {"odd": {"x.y": 1}})) == plain | {
        "odd": {"x.y": 1}
    }


def test_none_is_left_out() -> None:
    assert tomllib.loads(to_toml({"a": None, "b": {"c": None, "d": 1}})) == {
        "b": {"d": 1}
    }


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("epochs=20", ["epochs"], 20),
        ("encoder.units=[512, 256]", ["encoder", "units"], [512, 256]),
        ("jit_compile=true", ["jit_compile"], True),
        ("likelihood=bernoulli", ["likelihood"], "bernoulli"),
        ('prior={name="x", n=2}', ["prior"], {"name": "x", "n": 2}),
        ("data=a=b.npy", ["data"], "a=b.npy"),
    ],
)
def test_settings(text: str, path: list[str], value: object) -> None:
    assert parse_setting(text) == (path, value)


@pytest.mark.parametrize("text", ["epochs", "=3", "a..b=1"])
def test_a_setting_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--set takes key=value"):
        parse_setting(text)


def test_a_name_becomes_a_table() -> None:
    values: dict[str, object] = {"likelihood": "normal"}
    assign(values, ["likelihood", "scale"], 0.1)
    assert values == {"likelihood": {"name": "normal", "scale": 0.1}}


def test_unreadable_files_say_where(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read_toml(tmp_path / "none.toml")
    bad = tmp_path / "bad.toml"
    bad.write_text("epochs = = 3")
    with pytest.raises(UserError, match="line 1, column 10"):
        read_toml(bad)
    bad.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a readable TOML file"):
        read_toml(bad)


def test_a_number_has_no_keys() -> None:
    with pytest.raises(UserError, match=r"units is \[3\], so it has no x"):
        assign({"encoder": {"units": [3]}}, ["encoder", "units", "x"], 5)
