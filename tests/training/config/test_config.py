"""The configuration of a run speaks the user's language."""

import pytest

from kvae.core.errors import UserError
from kvae.training.config.config import Config
from kvae_cli import main


def test_defaults_are_valid() -> None:
    assert Config().data == "digits"


def test_an_unknown_key_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no key 'epoch'\. Did you mean epochs"):
        Config.of({"epoch": 3})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("latent_dim", 0, "an integer from 1 to 2**31 - 1, or the shape of one latent"),
        ("latent_dim", 2.5, "latent_dim must be an integer"),
        ("latent_dim", [16, 16], "shape of one latent: height, width, and channels"),
        ("latent_dim", [16, 0, 4], "such as [16, 16, 4]; received [16, 0, 4]"),
        ("fit_prior", 3, "fit_prior must be a name, or a table"),
        ("pictures", "often", "pictures must be an interval"),
        ("epochs", True, "epochs must be an integer"),
        ("batch_size", "64", "batch_size must be an integer"),
        ("learning_rate", 0, "learning_rate must be a number above 0"),
        ("learning_rate", float("nan"), "learning_rate must be a number above 0"),
        ("validation", -1, "validation must be a number of at least 0"),
        ("binarize", "static", 'binarize must be "none" or "dynamic"'),
        ("jit_compile", 1, "jit_compile must be true or false"),
        ("likelihood", 3, "likelihood must be a name, or a table"),
        ("data", "", "data must be a name or a path"),
        ("precision", "float16", 'precision must be "float32"'),
        ("seed", 2**31, "seed must be an integer from 0 to 2"),
    ],
)
def test_a_wrong_value_is_refused(key: str, value: object, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        Config.of({key: value})
    assert expected in str(caught.value)


def test_early_stopping_needs_validation() -> None:
    with pytest.raises(UserError, match="early_stopping watches the validation"):
        Config(early_stopping=3, validation=0)


def test_every_key_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["train", "--keys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split(" = ")[0].strip() for line in lines]
    assert names == list(Config().to_dict())
