import numpy as np
import pytest
import tensorflow as tf

from kvae.objectives import ELBO, IWAE, MMD, FreeBits, batch_mean

pytestmark = pytest.mark.usefixtures("eagerly")


def rates_per_dimension(parts):
    loc, scale = (parts.draw.posterior[k].numpy() for k in ("loc", "scale"))
    return 0.5 * (loc**2 + scale**2 - 1 - 2 * np.log(scale))


@pytest.mark.parametrize("weighted", [False, True])
def test_priced_rate_is_the_numpy_form(linear_gaussian, x, weighted):
    weight = np.array([0.0, 1.0, 2.0, 0.5, 0.0, 1.0]) if weighted else np.ones(len(x))
    given = tf.constant(weight) if weighted else None
    rates = rates_per_dimension(linear_gaussian.parts(ELBO(), x))
    means = (weight[:, None] * rates).sum(axis=0) / weight.sum()
    floor = float(means.mean())  # one dimension is above it, the other below
    assert means.min() < floor < means.max()
    objective = FreeBits(ELBO(beta=2.0), floor)
    parts = linear_gaussian.parts(objective, x, sample_weight=given)
    expected = 2.0 * np.maximum(means, floor).sum()
    np.testing.assert_allclose(parts.kl_term, np.full(len(x), expected), rtol=1e-12)
    assert float(batch_mean(parts.kl_term)) == pytest.approx(expected)
    np.testing.assert_allclose(parts.rate, rates.sum(axis=1), rtol=1e-12)


def test_without_a_floor_it_is_the_elbo_also_under_weights(linear_gaussian, x):
    weight = tf.constant([0.0, 1.0, 2.0, 0.5, 0.0, 1.0], tf.float64)
    free, elbo = (
        linear_gaussian.parts(o, x, sample_weight=weight).kl_term
        for o in (FreeBits(floor=0.0), ELBO())
    )
    assert float(batch_mean(free, weight)) == pytest.approx(
        float(batch_mean(elbo, weight)), rel=1e-12
    )


def test_total_group_prices_the_whole_rate(linear_gaussian, x):
    rate = linear_gaussian.parts(ELBO(), x).rate.numpy().mean()
    for floor in (0.5 * rate, 2.0 * rate):
        parts = linear_gaussian.parts(FreeBits(floor=floor, group="total"), x)
        np.testing.assert_allclose(parts.kl_term, max(rate, floor), rtol=1e-12)


def test_sampled_rate_per_dimension_agrees_with_the_exact_one(linear_gaussian, x):
    copies = np.repeat(x[:1], 20_000, axis=0)
    exact, sampled = (
        linear_gaussian.parts(FreeBits(ELBO(kl=kl), 0.0), copies)
        for kl in ("exact", "sampled")
    )
    error = sampled.rate.numpy().std(ddof=1) / len(copies) ** 0.5
    gap = float(sampled.metrics["priced_rate"] - exact.metrics["priced_rate"])
    assert abs(gap) < 5 * error


def test_below_the_floor_the_rate_has_no_gradient(linear_gaussian, x):
    with tf.GradientTape() as tape:
        loss = batch_mean(linear_gaussian.parts(FreeBits(floor=1e3), x).kl_term)
    found = tape.gradient(loss, linear_gaussian.encoder_variables)
    assert all(g is None or not np.any(g) for g in found)


def test_only_an_elbo_is_priced_anew():
    with pytest.raises(TypeError, match="received IWAE. Wrap kvae.objectives.ELBO"):
        FreeBits(IWAE())
    with pytest.raises(TypeError, match="wraps a kvae objective.*received 'elbo'"):
        FreeBits("elbo")
    assert isinstance(MMD(FreeBits(ELBO())).objective, FreeBits)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"floor": -0.1}, "floor >= 0, in nats; received -0.1"),
        ({"group": "layer"}, "\"total\"; received 'layer'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FreeBits(**arguments)
