"""A mistake is said with the way out."""

import pytest

from kvae.core.errors import UserError, nearest, user_errors
from kvae.core.extras import MissingExtra, require


def test_nearest_suggests_or_lists() -> None:
    assert nearest("mnst", ["mnist", "digits"]) == "Did you mean mnist?"
    assert nearest("zzz", ["mnist", "digits"]) == "Choose from digits, mnist."


def test_errors_of_the_library_become_mistakes() -> None:
    with pytest.raises(UserError, match="the file: bad"), user_errors("the file"):
        raise ValueError("bad")
    with pytest.raises(KeyError), user_errors("the file"):
        raise KeyError("ours")


def test_a_missing_package_names_the_command() -> None:
    with pytest.raises(MissingExtra, match=r'pip install "keras-vae\[train\]"'):
        require("no_such_package_of_any_kind.part", "drawing")
