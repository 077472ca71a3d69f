"""A deep model of feature maps, beside a walk through its two levels in plain NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import expit

import kvae
from kvae import likelihoods, networks, objectives, posteriors, priors
from kvae.core.inputs import Inputs
from kvae.noise import Noise

LEVELS = ((1, 1, 1), (4, 4, 1))
SHAPE = (8, 8)


def make_vae(residual=True, levels=LEVELS, dtype="float64", classes=None, **parts):
    """A model with random weights everywhere, so that nothing holds by a blank start."""
    keras.utils.set_random_seed(0)
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    arguments = {"latent_channels": 2, "width": 6}
    try:
        trunk = networks.TopDownTrunk(
            SHAPE, levels, features=3, classes=classes, **arguments
        )
        arguments["condition_dim"] = trunk.condition_dim
        vae = kvae.VAE(
            networks.bottom_up_encoder(SHAPE, levels, 6, 1, classes=classes),
            trunk,
            posteriors.TopDownMaps(levels, residual=residual, **arguments),
            parts.pop("likelihood", None) or likelihoods.Bernoulli(SHAPE),
            priors.HierarchicalMaps(trunk.latent_dim),
            seed=0,
            **parts,
        )
    finally:
        keras.config.set_dtype_policy(previous)
    rng = np.random.default_rng(0)
    for weight in vae.trainable_variables:
        weight.assign_add(0.1 * rng.normal(size=weight.shape))
    return vae


@pytest.fixture(scope="module")
def vae():
    return make_vae()


@pytest.fixture(scope="module")
def x():
    return (np.random.default_rng(1).random((3, *SHAPE)) < 0.3).astype("float64")


# === The same in NumPy ===


def silu(h):
    return h * expit(h)


def convolve(h, layer):
    """A convolution with zeros around, position by position of its kernel."""
    kernel = layer.kernel.numpy()
    half = kernel.shape[0] // 2
    padded = np.pad(h, ((0, 0), (half, half), (half, half), (0, 0)))
    rows, columns = h.shape[1:3]
    out = sum(
        padded[:, i : i + rows, j : j + columns] @ kernel[i, j]
        for i in range(kernel.shape[0])
        for j in range(kernel.shape[1])
    )
    return out + (layer.bias.numpy() if layer.use_bias else 0.0)


def bottleneck(h, layer):
    for convolution in layer._convolutions:
        h = convolve(silu(h), convolution)
    return h


def grow(h, layer, rate):
    h = convolve(h, layer._convolution)
    rows, columns, channels = h.shape[1], h.shape[2], h.shape[3] // rate**2
    h = h.reshape(-1, rows, columns, rate, rate, channels).transpose(0, 1, 3, 2, 4, 5)
    return h.reshape(-1, rows * rate, columns * rate, channels)


def scale_of(raw):
    return 1e-4 + np.logaddexp(0.0, raw + np.log(np.e - 1.0))


def walk(vae, x, z, labels=None):
    """log q, log p and KL of each level at latents z (B, D), and log p(x|z)."""
    trunk, q = vae.decoder, vae.posterior
    inputs = x if labels is None else {"x": x, "condition": labels}
    evidence = np.split(
        vae.encoder(inputs, training=False).numpy(), [6, 6 + 4 * 4 * 6], axis=-1
    )
    h = np.repeat(trunk._start.numpy(), len(x), axis=0)
    found = []
    start = 0
    for level, (rows, columns, _) in enumerate(LEVELS):
        if level:
            h = grow(h, trunk._grows[0], 4)
        if labels is not None:
            h = h + trunk._condition_maps[level].kernel.numpy()[labels][:, None, None]
        size = rows * columns * 2
        flat = z[:, start : start + size]
        start += size
        out = bottleneck(h, trunk._priors[level])
        loc_p, scale_p = out[..., :2], scale_of(out[..., 2:4])
        e = evidence[level].reshape(-1, rows, columns, 6)
        inner = convolve(silu(h), q._of_h[level]) + convolve(e, q._of_x[level])
        inner = convolve(silu(inner), q._mix[level])
        out_q = convolve(silu(inner), q._head[level])
        loc_q, scale_q = out_q[..., :2], scale_of(out_q[..., 2:])
        if q.residual:
            loc_q, scale_q = loc_p + loc_q, scale_p * scale_q
        loc_p, scale_p, loc_q, scale_q = (
            v.reshape(len(x), -1) for v in (loc_p, scale_p, loc_q, scale_q)
        )
        kl = np.log(scale_p / scale_q) - 0.5
        kl = kl + (scale_q**2 + (loc_q - loc_p) ** 2) / (2 * scale_p**2)
        found.append(
            [
                stats.norm.logpdf(flat, loc_q, scale_q).sum(-1),
                stats.norm.logpdf(flat, loc_p, scale_p).sum(-1),
                kl.sum(-1),
            ]
        )
        z_map = flat.reshape(-1, rows, columns, 2)
        h = h + out[..., 4:] + convolve(z_map, trunk._projections[level])
        h = h + bottleneck(h, trunk._blocks[level])
    full = silu(grow(silu(h), trunk._last, 2))
    full = silu(full + convolve(full, trunk._smooth))
    logits = convolve(full, vae.likelihood._logits._linear)[..., 0]
    log_x = stats.bernoulli.logpmf(x.astype(int), expit(logits)).sum((1, 2))
    return np.array(found), log_x


@pytest.mark.parametrize("labels", [None, [2, 0, 2]])
@pytest.mark.parametrize("residual", [True, False])
def test_every_density_is_that_of_a_walk_in_numpy(x, residual, labels):
    vae = make_vae(residual, classes=labels and 3)
    c = None if labels is None else np.array(labels)
    given = Inputs(tf.constant(x), c if c is None else tf.constant(c))
    draw = vae.draw(given, Noise(tf.constant([1, 2])), 1)
    (top, low), log_x = walk(vae, x, draw.z[0].numpy(), c)
    np.testing.assert_allclose(draw.log_posterior[0], top[0] + low[0], rtol=1e-9)
    np.testing.assert_allclose(draw.log_prior[0], top[1] + low[1], rtol=1e-9)
    np.testing.assert_allclose(draw.log_likelihood[0], log_x, rtol=1e-9)
    rates = vae.posterior.level_rates(draw)[0]
    np.testing.assert_allclose(rates, np.stack([top[2], low[2]], -1), rtol=1e-9)


def test_one_pass_gives_what_each_part_gives_alone(vae, x):
    params = vae.posterior_params(Inputs(tf.constant(x)))
    noise = tf.random.stateless_normal((4, 3, vae.latent_dim), [1, 2], dtype="float64")
    found = vae.posterior.walk(params, noise)
    q, p = vae.posterior, vae.prior
    np.testing.assert_allclose(q.log_prob(params, found.z), found.log_posterior)
    np.testing.assert_allclose(p.log_prob(p(None), found.z), found.log_prior)
    features = vae.decoder(tf.reshape(found.z, (-1, vae.latent_dim)))
    np.testing.assert_allclose(features, found.features)
    for k in range(4):  # latents of one example don't see one another
        one = q.walk(params, noise[k : k + 1])
        np.testing.assert_allclose(one.z[0], found.z[k])
        np.testing.assert_allclose(one.rates[0], found.rates[k])
    np.testing.assert_allclose(p.inverse(p.forward(noise)[0])[0], noise, atol=1e-9)


def test_a_condition_belongs_to_its_row(x):
    """K latents of B examples under their own labels, whole and one by one."""
    vae = make_vae(classes=(4, 7, 9))
    c = np.array([9, 4, 9])
    params = vae.posterior_params(Inputs(tf.constant(x), tf.constant(c)))
    noise = tf.random.stateless_normal((4, 3, vae.latent_dim), [1, 2], dtype="float64")
    found = vae.posterior.walk(params, noise)
    for k in range(4):
        one = vae.posterior.walk(params, noise[k : k + 1])
        np.testing.assert_allclose(one.z[0], found.z[k])
        np.testing.assert_allclose(one.rates[0], found.rates[k])
    p = vae.prior(tf.constant(c))
    np.testing.assert_allclose(vae.prior.log_prob(p, found.z), found.log_prior)
    law = vae.prior.distribution(p)
    np.testing.assert_allclose(law.log_prob(found.z), found.log_prior)
    np.testing.assert_allclose(law[1:].log_prob(found.z[:, 1:]), found.log_prior[:, 1:])
    z = vae.prior.sample(p, noise)
    for b in range(3):
        alone = vae.prior(tf.constant(c[b : b + 1]))
        row = vae.prior.sample(alone, noise[:, b : b + 1])
        np.testing.assert_allclose(row[:, 0], z[:, b])
    assert np.abs(z - vae.prior.sample(vae.prior(tf.constant([4, 4, 4])), noise)).max()
    features = vae.likelihood_params(found.z, tf.constant(c))
    again = vae.likelihood(found.features)
    for name, value in features.items():
        np.testing.assert_allclose(tf.reshape(value, again[name].shape), again[name])


@pytest.mark.parametrize(
    "objective",
    [objectives.ELBO(), objectives.FreeBits(group="level"), objectives.IWAE(3)],
)
def test_a_training_step_runs_the_trunk_once(x, objective, monkeypatch):
    vae = make_vae(objective=objective, dtype="float32")
    passes = []
    descend = networks.TopDownTrunk.descend
    monkeypatch.setattr(
        networks.TopDownTrunk,
        "descend",
        lambda self, *given: passes.append(1) or descend(self, *given),
    )
    vae.compile(run_eagerly=True)
    vae.train_on_batch(x)
    assert len(passes) == 1


def test_the_rate_of_levels_and_its_estimate_from_draws_agree(vae, x):
    many = Inputs(tf.repeat(tf.constant(x[:1]), 4000, axis=0))
    draw = vae.draw(many, Noise(tf.constant([3, 4])), 1)
    sampled = (draw.log_posterior - draw.log_prior)[0].numpy()
    closed = tf.reduce_sum(vae.posterior.level_rates(draw), -1)[0].numpy()
    # Each is an unbiased estimate of the same number, from the same draws.
    difference = sampled - closed
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert error < 0.1
    assert abs(difference.mean()) < 5 * error
    assert closed.std() < 0.7 * sampled.std()  # which is what the closed form is for


def test_free_bits_have_a_floor_for_each_level(x):
    vae = make_vae(objective=objectives.FreeBits(floor=0.5, group="level"))
    inputs, noise = Inputs(tf.constant(x)), Noise(tf.constant([5, 6]))
    parts = vae.objective.parts(vae, inputs, noise, training=False)
    rates = vae.posterior.level_rates(parts.draw)[0].numpy().mean(0)
    assert rates.min() < 0.5 < rates.max()  # one level is below and one above
    np.testing.assert_allclose(parts.kl_term, np.maximum(rates, 0.5).sum())
    np.testing.assert_allclose(
        parts.rate, vae.posterior.level_rates(parts.draw)[0].numpy().sum(-1)
    )


def test_the_balance_of_levels_is_the_numpy_form(x):
    beta = 0.5
    vae = make_vae(objective=objectives.LevelBalance(objectives.ELBO(beta), steps=3))
    inputs, noise = Inputs(tf.constant(x)), Noise(tf.constant([5, 6]))
    parts = vae.objective.parts(vae, inputs, noise, training=True)
    rates = vae.posterior.level_rates(parts.draw)[0].numpy()
    density = rates.mean(0) / [2, 32] + 1e-6
    gamma = 2 * density / density.sum()
    assert gamma.min() < 0.9  # they are not in balance
    np.testing.assert_allclose(parts.kl_term, beta * (rates * gamma).sum(-1))
    np.testing.assert_allclose(parts.rate, rates.sum(-1))
    vae.step.assign(3)
    later = vae.objective.parts(vae, inputs, noise, training=True)
    np.testing.assert_allclose(later.kl_term, beta * rates.sum(-1))
    with pytest.raises(ValueError, match="needs a posterior with levels"):
        kvae.VAE(
            networks.mlp((5,), (7,)),
            networks.mlp((3,), (7,), role="decoder"),
            posteriors.DiagonalNormal(3),
            likelihoods.Bernoulli((5,)),
            objective=objectives.LevelBalance(),
        )


def test_fit_reports_the_rate_of_each_size(x):
    vae = make_vae(dtype="float32", levels=((1, 1, 2), (4, 4, 1)))
    vae.compile(run_eagerly=True)
    logs = vae.train_on_batch(x, return_dict=True)
    assert vae.objective.kl == "levels"
    both = logs["rate_1x1"] + logs["rate_4x4"]
    assert both == pytest.approx(logs["rate"], rel=1e-4)


def test_a_linear_model_has_the_likelihood_of_its_normal():
    """Without nonlinearities x is normal: its log p(x) is known exactly."""
    keras.utils.set_random_seed(0)
    levels, arguments = ((1, 1, 1), (2, 2, 1)), {"latent_channels": 1, "width": 3}
    trunk = networks.TopDownTrunk(
        (2, 2), levels, features=2, activation="linear", dtype="float64", **arguments
    )
    vae = kvae.VAE(
        networks.bottom_up_encoder((2, 2), levels, 3, 1),
        trunk,
        posteriors.TopDownMaps(levels, dtype="float64", **arguments),
        likelihoods.Normal((2, 2), scale=1.0, dtype="float64"),
        priors.HierarchicalMaps(5, dtype="float64"),
        dtype="float64",
    )
    rng = np.random.default_rng(0)
    for weight in trunk.trainable_variables:
        weight.assign_add(0.2 * rng.normal(size=weight.shape))
    for prior in trunk._priors:  # scales that no latent changes
        last = prior._convolutions[-1]
        kernel = last.kernel.numpy()
        kernel[..., 1] = 0.0
        last.kernel.assign(kernel)

    def mean(noise):
        z = vae.prior.forward(tf.constant(noise))[0]
        return vae.likelihood.mean(vae.likelihood_params(z)).numpy().reshape(-1, 4)

    at_zero = mean(np.zeros((1, 5)))[0]
    gain = (mean(np.eye(5)) - at_zero).T
    np.testing.assert_allclose(mean(2 * np.eye(5)) - at_zero, 2 * gain.T, atol=1e-9)
    law = stats.multivariate_normal(at_zero, gain @ gain.T + np.eye(4))
    x = law.rvs(3, random_state=0).reshape(3, 2, 2)
    found = kvae.evaluation.log_likelihood(vae, x, num_samples=20_000)
    exact = law.logpdf(x.reshape(3, 4))
    error = np.sqrt(1 / found.per_example_ess)
    assert error.max() < 0.1
    assert np.all(np.abs(found.per_example - exact) < 5 * error)


def test_variance_is_kept_over_depth():
    def spread(count):
        keras.utils.set_random_seed(0)
        trunk = networks.TopDownTrunk((8, 8), ((4, 4, count),), width=16)
        z = tf.random.stateless_normal((64, trunk.latent_dim), [0, 1])
        return float(tf.math.reduce_std(trunk(z)))

    assert 0.5 < spread(24) / spread(2) < 2.0


def test_temperatures_are_those_of_levels(vae):
    p = vae.prior
    noise = np.random.default_rng(0).normal(size=(4, vae.latent_dim))
    top = p.temperatures({"4x4": 0.0})
    np.testing.assert_array_equal(top, [1.0] * 2 + [0.0] * 32)
    np.testing.assert_array_equal(top, p.temperatures([1, 0]))
    z = p.sample(p(None), tf.constant(noise), tf.constant(top))
    np.testing.assert_allclose(z, p.forward(tf.constant(noise * top))[0])
    assert vae.sample(3, seed=0, temperature={"4x4": 0.5}).shape == (3, *SHAPE)
    for wrong, words in (({"7x7": 1}, "1x1, 4x4"), ([1, 2, 3], "2 levels"), (-1, "0")):
        with pytest.raises(ValueError, match=words):
            vae.sample(1, temperature=wrong)


def test_the_top_levels_alone_know_x(vae, x):
    params = vae.posterior_params(Inputs(tf.constant(x)))
    whole = vae.posterior.known_levels(params, 2)
    np.testing.assert_allclose(whole, vae.posterior.mean(params))
    top = vae.posterior.known_levels(params, 1).numpy()
    np.testing.assert_allclose(top[:, :2], whole[:, :2])
    noise = vae.prior.inverse(tf.constant(top))[0]
    np.testing.assert_allclose(noise[:, 2:], 0.0, atol=1e-9)  # at the prior's loc
    none = vae.posterior.known_levels(params, 0).numpy()
    np.testing.assert_allclose(none, np.repeat(none[:1], 3, 0))


def test_other_parts_are_refused():
    trunk = networks.TopDownTrunk(SHAPE, LEVELS, 2, 6)
    encoder = networks.bottom_up_encoder(SHAPE, LEVELS, 6)
    likelihood = likelihoods.Bernoulli(SHAPE)

    def build(encoder=encoder, decoder=trunk, prior=None):
        prior = priors.HierarchicalMaps(34) if prior is None else prior
        q = posteriors.TopDownMaps(LEVELS, 2, 6)
        return kvae.VAE(encoder, decoder, q, likelihood, prior)

    assert build().built
    with pytest.raises(ValueError, match="needs the prior priors.HierarchicalMaps"):
        build(prior=priors.StandardNormal(34))
    with pytest.raises(ValueError, match="same levels, channels, and width"):
        build(decoder=networks.TopDownTrunk(SHAPE, LEVELS, 2, 8))
    with pytest.raises(ValueError, match="reads the maps of all sizes, flat, 102"):
        build(encoder=networks.mlp(SHAPE, (9,)))
    with pytest.raises(ValueError, match="needs the decoder networks.TopDownTrunk"):
        kvae.VAE(
            encoder,
            networks.mlp((34,), (8,), role="decoder"),
            posteriors.DiagonalNormal(34),
            likelihood,
            priors.HierarchicalMaps(34),
        )


@pytest.mark.parametrize(
    "levels", [(), ((4, 4),), ((4, 4, 1), (2, 2, 1)), ((1, 1, 0),), 3, ((1, 1, 1.5),)]
)
def test_levels_must_grow(levels):
    for make in (
        lambda: networks.TopDownTrunk(SHAPE, levels),
        lambda: networks.bottom_up_encoder(SHAPE, levels),
        lambda: posteriors.TopDownMaps(levels),
    ):
        with pytest.raises(ValueError, match="expects levels of"):
            make()
