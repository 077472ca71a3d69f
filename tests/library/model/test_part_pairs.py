"""Every posterior with every prior: three steps that lower the loss, or one sentence."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance import posterior_specimens, prior_specimens
from support.tiny_models import labels, loss_at, pixels, tiny_vae

import kvae

PAIRS = list(
    itertools.product(posterior_specimens.SPECIMENS, prior_specimens.SPECIMENS)
)


def _fit(q, p):
    wanted = (
        q.partners.get("prior", (p.cls,))[0],
        p.partners.get("posterior", (q.cls,))[0],
    )
    return q.cls.space == p.cls.space and wanted == (p.cls, q.cls)


FIT = [(q, p) for q, p in PAIRS if _fit(q, p)]


def build(q, p, num=32, **options):
    conditional = p.cls.conditional
    data = {"x": pixels(num)} | ({"condition": labels(num)} if conditional else {})
    return tiny_vae(q.make(), p.make(), condition=conditional, **options), data


@pytest.mark.parametrize(("q", "p"), FIT, ids=str)
def test_trains(q, p):
    keras.utils.set_random_seed(1)
    vae, data = build(q, p, num=256)  # enough for the noise not to hide three steps
    vae.compile(keras.optimizers.Adam(0.01))
    if not vae.built:
        vae.build({name: value.shape for name, value in data.items()})
    losses = [loss_at(vae, data)]
    for _ in range(3):
        vae.train_step({name: tf.constant(value) for name, value in data.items()})
        losses.append(loss_at(vae, data))
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("q", "p"), [x for x in PAIRS if x not in FIT], ids=str)
def test_is_refused_in_a_sentence(q, p):
    with pytest.raises(ValueError, match="no KL divergence is finite|needs the prior"):
        build(q, p)


@pytest.mark.parametrize(
    ("q", "p"),
    [
        (q, p)
        for q, p in FIT
        if q.cls.__name__ == "DiagonalNormal"
        or p.cls.__name__ == "StandardNormal"
        or p.cls.__name__ == "UniformSphere"
    ],
    ids=str,
)
def test_is_saved_and_loaded(q, p, tmp_path):
    vae, data = build(q, p)
    elbo = vae.elbo(data, 2, seed=3)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(loaded.elbo(data, 2, seed=3), elbo, rtol=1e-6)
    condition = {"condition": data["condition"][:2]} if "condition" in data else {}
    np.testing.assert_allclose(
        loaded.sample(2, seed=1, **condition),
        vae.sample(2, seed=1, **condition),
        rtol=1e-6,
    )


@pytest.mark.parametrize(("q", "p"), FIT, ids=str)
def test_an_exact_kl_is_taken_or_refused_in_a_sentence(q, p):
    exact = kvae.objectives.ELBO(kl="exact")
    vae, data = build(q, p, objective=kvae.objectives.ELBO())
    assert np.isfinite(loss_at(vae, data))
    if q.exact_kl and p.exact_kl:
        assert vae.objective.kl is None
        vae, data = build(q, p, objective=exact)
        assert np.isfinite(loss_at(vae, data))
    else:
        assert vae.objective.kl == "sampled"
        with pytest.raises(ValueError, match=r'Say ELBO\(kl="sampled"\)'):
            build(q, p, objective=exact)
