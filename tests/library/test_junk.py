"""Whatever is handed to a public method, the answer is a `ValueError` or `TypeError`.

Not an AttributeError, IndexError or KeyError from within, which name what nobody gave.
"""

from collections.abc import Callable
from typing import Any

import pytest
from support import small

import kvae
from kvae import evaluation

X = small.binary(50)


@pytest.fixture(scope="module")
def vae() -> kvae.VAE:
    model = small.vae()
    model.fit(X, epochs=1, verbose=0)
    return model


JUNK: list[Any] = [None, [], {}, "x", 3, object(), [[1.0], [1.0, 2.0]]]
CALLS: dict[str, Callable[[kvae.VAE, Any], Any]] = {
    "predict": lambda vae, junk: vae.predict(junk, verbose=0),
    "encode": lambda vae, junk: vae.encode(junk),
    "reconstruct": lambda vae, junk: vae.reconstruct(junk),
    "elbo": lambda vae, junk: vae.elbo(junk),
    "decode": lambda vae, junk: vae.decode(junk),
    "sample": lambda vae, junk: vae.sample(junk),
    "condition": lambda vae, junk: vae.sample(3, condition=junk or "c"),
    "complete": lambda vae, junk: vae.complete(X, junk),
    "fit": lambda vae, junk: vae.fit(junk, verbose=0),
    "evaluate": lambda vae, junk: vae.evaluate(junk, verbose=0),
    "traversals": lambda vae, junk: evaluation.traversals(vae, junk),
    "features": lambda vae, junk: evaluation.sample_quality(vae, X, features=junk or 0),
    "labels": lambda vae, junk: evaluation.sample_quality(vae, X, labels=junk or 0),
    "log_likelihood": lambda vae, junk: evaluation.log_likelihood(vae, junk, 2),
    "latent_usage": lambda vae, junk: evaluation.latent_usage(vae, junk),
    "no model": lambda vae, junk: evaluation.elbo(junk, X),
}


@pytest.mark.parametrize("name", CALLS)
def test_junk_is_refused_in_words(vae: kvae.VAE, name: str) -> None:
    for junk in JUNK:
        if name == "sample" and junk == 3:
            continue
        with pytest.raises((ValueError, TypeError)) as caught:
            CALLS[name](vae, junk)
        assert str(caught.value), (name, junk)
