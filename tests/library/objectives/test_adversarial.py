import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

import kvae
from kvae.core.inputs import Inputs
from kvae.noise import Noise
from kvae.objectives import ELBO, IWAE, RAE, Adversarial, FactorVAE, Masked

NOISE = Noise(tf.constant([0, 1]))


def judge(shape=(6,), units=(5,), seed=0):
    """A discriminator of dense layers, with weights that are not small."""
    rng = np.random.default_rng(seed)
    network = keras.Sequential([keras.Input(shape), keras.layers.Flatten()])
    for width in units:
        network.add(keras.layers.Dense(width, "tanh"))
    network.add(keras.layers.Dense(1))
    network.set_weights([rng.normal(size=w.shape) for w in network.get_weights()])
    return network


def parts_of(vae, x, training=True, **inputs):
    inputs = Inputs(tf.constant(x), **inputs)
    return vae.objective.parts(vae, inputs, NOISE, training)


def arrays(variables):
    return [np.array(v) for v in variables]


def dense(network, x):
    """The logits of `judge` in numpy."""
    *hidden, kernel, bias = network.get_weights()
    for weights, shift in zip(hidden[::2], hidden[1::2], strict=True):
        x = np.tanh(x @ weights + shift)
    return (x @ kernel + bias)[:, 0]


HINGE = (lambda u: np.maximum(0, 1 - u), lambda u: -u)
LOGISTIC = (lambda u: np.log1p(np.exp(-u)),) * 2


@pytest.mark.parametrize(
    ("loss", "d", "g"), [("hinge", *HINGE), (None, *HINGE), ("logistic", *LOGISTIC)]
)
def test_terms_on_pixels_are_the_numpy_form(small_vae, binary, loss, d, g):
    network = judge()
    objective = Adversarial(ELBO(), network, 3.0, adaptive=False, loss=loss)
    parts = parts_of(small_vae(objective), binary)
    loc, spread = binary.mean(), binary.std()  # which `for_data` shows to `adapt`
    seen = tf.sigmoid(parts.draw.likelihood["logits"][0]).numpy()
    real, fake = (dense(network, (x - loc) / spread) for x in (binary, seen))
    found = parts.metrics
    np.testing.assert_allclose(found["pixel_generator_loss"], g(fake), rtol=1e-4)
    np.testing.assert_allclose(
        found["pixel_discriminator_loss"], 0.5 * (d(real) + d(-fake)), rtol=1e-4
    )
    np.testing.assert_allclose(
        parts.data_term, parts.distortion + 3.0 * g(fake), rtol=1e-4
    )
    assert "pixel_adaptive_weight" not in found


@pytest.mark.parametrize(
    ("loss", "d", "g"), [("hinge", *HINGE), ("logistic", *LOGISTIC), (None, *LOGISTIC)]
)
def test_terms_on_latents_are_the_numpy_form(small_vae, binary, loss, d, g):
    network = judge((2,))
    objective = Adversarial(ELBO(2.0, 3), network, 0.5, on="latents", loss=loss)
    vae = small_vae(objective)
    parts = parts_of(vae, binary)
    normals = NOISE.fold(0xADE).normal(3, len(binary), 2, "float32").numpy()
    fake = g(dense(network, parts.draw.z.numpy().reshape(-1, 2))).reshape(3, -1)
    np.testing.assert_allclose(
        parts.metrics["latent_generator_loss"], fake.mean(0), rtol=1e-4
    )
    sides = [
        d(sign * dense(network, z.reshape(-1, 2))).reshape(3, -1).mean(0)
        for sign, z in ((1, normals), (-1, parts.draw.z.numpy()))
    ]
    np.testing.assert_allclose(
        parts.metrics["latent_discriminator_loss"], 0.5 * sum(sides), rtol=1e-4
    )
    np.testing.assert_allclose(
        parts.data_term, parts.distortion + 0.5 * fake.mean(0), rtol=1e-4
    )
    np.testing.assert_array_equal(parts.kl_term, 2.0 * parts.rate)


def test_the_adaptive_weight_is_the_closed_form(linear_gaussian, x):
    """A linear discriminator v: the gradients at the head h W + b are known.

    d(-log p) / d loc = (loc - x) / scale^2 / B, and d(-v loc) / d loc = -v / B; that of W
    is h^T times either, that of b their sum over examples.
    """
    weight = np.array([0.5, 2.0, 0.1, 1.0, 0.3, 3.0])
    network = judge((4,), units=())
    objective = Adversarial(ELBO(), network, 0.7)
    objective.attach(linear_gaussian.vae)
    parts = linear_gaussian.parts(objective, x, sample_weight=tf.constant(weight))
    hidden = linear_gaussian.vae.decoder(parts.draw.z[0]).numpy()
    loc = parts.draw.likelihood["loc"][0].numpy()
    scale = parts.draw.likelihood["scale"][0].numpy()
    v = network.get_weights()[0][:, 0]

    def norm(gradient):
        gradient = gradient * weight[:, None] / len(x)
        return np.sqrt(
            np.sum((hidden.T @ gradient) ** 2) + np.sum(gradient.sum(0) ** 2)
        )

    expected = norm((loc - x) / scale**2) / norm(np.tile(-v, (len(x), 1)))
    found = parts.metrics["pixel_adaptive_weight"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # Inputs are of float32
    np.testing.assert_allclose(
        parts.data_term,
        parts.distortion + 0.7 * expected * parts.metrics["pixel_generator_loss"],
        rtol=1e-6,
    )
    plain = linear_gaussian.parts(ELBO(), x)
    np.testing.assert_allclose(parts.elbo, plain.elbo, rtol=1e-12)


@pytest.mark.parametrize("on", ["pixels", "latents"])
def test_each_optimizer_takes_the_gradient_of_its_own_loss(small_vae, binary, on):
    """One step of plain descent, at other rates: by as much as the losses alone say."""
    weight = np.linspace(0.1, 2.0, len(binary)).astype("float32")
    objective = Adversarial(ELBO(), on=on, optimizer=keras.optimizers.SGD(0.3))
    vae = small_vae(objective)
    vae.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
    (optimizer, own), model = objective.own_optimizers()[0], vae.trainable_variables
    assert optimizer is objective.optimizer
    assert not {id(v) for v in own} & {id(v) for v in model}
    name = on.removesuffix("s")
    with tf.GradientTape(persistent=True) as tape:
        noise = vae._training_noise()
        inputs = Inputs(tf.constant(binary), sample_weight=tf.constant(weight))
        parts = objective.parts(vae, inputs, noise, True)
        fooled = parts.metrics[f"{name}_generator_loss"]
        fooled *= parts.metrics.get(f"{name}_adaptive_weight", 1.0)
        loss = parts.distortion + parts.rate + 0.5 * fooled
        loss = tf.reduce_mean(weight * loss)
        rival = parts.metrics[f"{name}_discriminator_loss"]
        rival = tf.reduce_mean(weight * rival)
    before = arrays([*model, *own])
    expected = [
        *(0.01 * g for g in tape.gradient(loss, model)),
        *(0.3 * g for g in tape.gradient(rival, own)),
    ]
    vae.train_on_batch(binary, sample_weight=weight)
    for old, new, step in zip(before, arrays([*model, *own]), expected, strict=True):
        assert np.any(step) or step.shape == (1,)  # the last bias
        np.testing.assert_allclose(old - new, step, rtol=1e-3, atol=2e-6)
    assert int(optimizer.iterations) == int(vae.optimizer.iterations) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_before_the_start_it_is_the_wrapped_objective(small_vae, binary):
    fit = {"batch_size": 16, "verbose": 0, "shuffle": False}
    plain = small_vae(ELBO())
    objective = Adversarial(ELBO(), start_step=3)
    vae = small_vae(objective)
    for a, b in zip(vae.trainable_variables, plain.trainable_variables, strict=True):
        b.assign(a)
    own = objective.own_optimizers()[0][1]
    before = arrays(own)
    plain.fit(binary, **fit)
    vae.fit(binary, **fit)  # three steps
    for a, b in zip(arrays(own), before, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(vae.trainable_variables, plain.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    vae.fit(binary[:16], **fit)
    # But the last bias, on which real and fake pull with one force within the hinge.
    changed = [np.any(a != b) for a, b in zip(arrays(own), before, strict=True)]
    assert all(changed[:-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {"max_gradient_norm": 1e9, "steps_per_execution": 4},
        {"jit_compile": True, "steps_per_execution": 4},
    ],
)
def test_however_it_is_compiled_it_trains_the_same(small_vae, binary, how):
    """Without the noise of the latents, which XLA draws otherwise."""

    def trained(**how):
        vae = small_vae(Adversarial(RAE(), start_step=1), **how)
        vae.fit(binary, batch_size=8, epochs=2, shuffle=False, verbose=0)
        return [*vae.variables, *vae.objective.optimizer.variables]

    for a, b in zip(trained(run_eagerly=True), trained(**how), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5, err_msg=a.path)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_a_step_that_is_left_out_leaves_the_discriminator_alone(small_vae, binary):
    objective = Adversarial(ELBO())
    vae = small_vae(objective, max_gradient_norm=1e-9)
    before = arrays(objective.own_optimizers()[0][1])
    history = vae.fit(binary, batch_size=16, verbose=0).history
    assert history["skipped_steps"] == [3]
    for a, b in zip(arrays(objective.own_optimizers()[0][1]), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(objective.optimizer.iterations) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_float16_takes_its_scale_out_of_both_gradients(small_vae, binary):
    """A step of plain descent of the discriminator is as long as in float32."""
    steps = []
    for policy in ("float32", "mixed_float16"):
        with small.policy(policy):
            objective = Adversarial(ELBO(), optimizer=keras.optimizers.SGD(1.0))
            vae = small_vae(objective)
        own = objective.own_optimizers()[0][1]
        before = arrays(own)
        vae.fit(binary, batch_size=48, shuffle=False, verbose=0)
        steps.append([a - b for a, b in zip(arrays(own), before, strict=True)])
    assert isinstance(objective.optimizer, keras.optimizers.LossScaleOptimizer)
    for single, half in list(zip(*steps, strict=True))[:-1]:
        assert np.linalg.norm(single) > 1e-3
        assert np.linalg.norm(half - single) < 0.05 * np.linalg.norm(single)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_evaluation_changes_nothing_and_spectral_norms_stay_one(tmp_path):
    x = np.random.default_rng(0).random((32, 16, 16, 3)).astype("float32")
    keras.utils.set_random_seed(0)
    vae = kvae.VAE.for_data(x, 4, seed=0, objective=Adversarial())
    vae.compile(keras.optimizers.Adam(1e-3))
    vae.fit(x, batch_size=8, epochs=6, verbose=0)
    kernels = [
        np.array(layer.kernel).reshape(-1, layer.kernel.shape[-1])
        for layer in vae.objective._network.layers
        if isinstance(layer, keras.layers.SpectralNormalization)
    ]
    assert len(kernels) == 2
    for kernel in kernels:
        # One iteration of the power method a step, and the last step of Adam after it.
        assert np.linalg.svd(kernel, compute_uv=False)[0] == pytest.approx(1.0, abs=0.1)
    before = arrays(vae.variables)
    vae.save(tmp_path / "a.keras")
    first = vae.evaluate(x, verbose=0, return_dict=True)
    changed = [
        v.path
        for v, old in zip(vae.variables, before, strict=True)
        if np.any(np.array(v) != old)
    ]
    assert not [path for path in changed if "discriminator" in path]
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    for a, b in zip(
        vae.objective.optimizer.variables,
        loaded.objective.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert loaded.objective.optimizer.beta_1 == 0.5
    assert loaded.evaluate(x, verbose=0, return_dict=True) == pytest.approx(first)
    for model in (vae, loaded):
        model.fit(x, batch_size=8, verbose=0, shuffle=False)
    for a, b in zip(vae.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_missing_entries_are_not_judged(small_vae, binary):
    """What stands in their place changes nothing, and an unseen example looks real."""
    network = judge()
    vae = small_vae(Adversarial(ELBO(), network, adaptive=False))
    mask = np.ones_like(binary)
    mask[0] = 0
    mask[1, :3] = 0
    junk = np.where(mask > 0, binary, 1 - binary)
    one, other = (
        parts_of(vae, x, mask=tf.constant(mask)).metrics["pixel_discriminator_loss"]
        for x in (binary, junk)
    )
    np.testing.assert_array_equal(one, other)
    parts = parts_of(vae, binary, mask=tf.constant(mask))
    blind = -parts.metrics["pixel_generator_loss"].numpy()[0]
    hinge = HINGE[0]
    expected = 0.5 * (hinge(blind) + hinge(-blind))
    np.testing.assert_allclose(one[0], expected, rtol=1e-4)


@pytest.mark.slow
def test_latents_become_those_of_the_prior():
    """An encoder that only has to fool the discriminator: q(z) approaches N(0, 1).

    x is N(0, 9), and z = a x + b without noise. It starts at a spread of 6; as in any such
    game, both sides swing around the balance, which is a spread of 1.
    """
    keras.utils.set_random_seed(0)
    x = 3.0 * np.random.default_rng(0).normal(size=(2048, 1)).astype("float32")
    data = keras.Input((1,), name="x")
    vae = kvae.VAE(
        keras.Model(data, keras.layers.Identity()(data)),
        kvae.networks.mlp((1,), (8,), "tanh", role="decoder"),
        kvae.posteriors.DiagonalNormal(1),
        kvae.likelihoods.Normal((1,)),
        objective=Adversarial(
            RAE(0.0, None),
            weight=100.0,
            on="latents",
            optimizer=keras.optimizers.Adam(2e-3, beta_1=0.5),
        ),
        seed=0,
    )
    loc = vae.posterior.trainable_variables[0]
    loc.assign([[2.0]])
    vae.compile(keras.optimizers.Adam(5e-3, beta_1=0.5))
    vae.fit(x, batch_size=256, epochs=40, verbose=0)
    z = vae.embed(x)
    assert abs(z.mean()) < 0.3
    assert 0.7 < z.std() < 1.4


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_on_pixels_and_on_latents_at_once(small_vae, binary):
    both = Adversarial(Adversarial(ELBO(), on="latents"), on="pixels")
    vae = small_vae(Masked(both))
    assert len(vae.objective.own_optimizers()) == 2
    history = vae.fit(binary, epochs=2, verbose=0).history
    assert {"latent_discriminator_loss", "pixel_discriminator_loss"} <= set(history)
    assert np.isfinite(history["loss"]).all()
    assert [int(o.iterations) for o, _ in vae.objective.own_optimizers()] == [4, 4]


def test_it_wraps_factor_vae_whose_discriminator_stays_with_the_model(
    small_vae, binary
):
    vae = small_vae(Adversarial(FactorVAE(ELBO())))
    own = {id(v) for _, group in vae.objective.own_optimizers() for v in group}
    factor = vae.objective.objective._network.trainable_variables
    assert not own & {id(v) for v in factor}
    assert {id(v) for v in factor} <= {id(v) for v in vae.trainable_variables}


def test_default_discriminators_suit_what_they_judge(small_vae):
    x = np.random.default_rng(0).random((20, 16, 16)).astype("float32")
    objective = Adversarial(Adversarial(on="latents"))
    vae = kvae.VAE.for_data(x, (4, 4, 2), objective=objective)
    assert vae.objective._network.input_shape == (None, 16, 16)
    assert vae.objective.objective._network.input_shape == (None, 4, 4, 2)


def test_wrong_arguments_are_refused(small_vae):
    with pytest.raises(TypeError, match="Keras network to logits.* received 3"):
        Adversarial(discriminator=3)
    with pytest.raises(ValueError, match="on to be one of .* received 'images'"):
        Adversarial(on="images")
    with pytest.raises(
        ValueError, match='"hinge", "logistic", or None.*received .wgan'
    ):
        Adversarial(loss="wgan")
    with pytest.raises(ValueError, match="weight >= 0, or a schedule.*received -1"):
        Adversarial(weight=-1)
    with pytest.raises(ValueError, match="start_step must be .* at least 0"):
        Adversarial(start_step=-1)
    with pytest.raises(ValueError, match="which latents do not reach"):
        Adversarial(on="latents", adaptive=True)
    with pytest.raises(ValueError, match=r"shape \(7,\), but examples have .*\(6,\)"):
        small_vae(Adversarial(discriminator=judge((7,))))
    with pytest.raises(ValueError, match=r"shape \(6,\), but latents have .*\(2,\)"):
        small_vae(Adversarial(discriminator=judge((6,)), on="latents"))
    features = kvae.networks.mlp((6,), (5,))
    with pytest.raises(ValueError, match=r"logits .*outputs of shape \(None, 5\)"):
        small_vae(Adversarial(discriminator=features))
    with pytest.raises(ValueError, match='two Adversarial objectives are on="pixels"'):
        small_vae(Adversarial(Masked(Adversarial())))
    with pytest.raises(
        ValueError, match='Adversarial cannot wrap IWAE.gradient="dreg"'
    ):
        small_vae(Adversarial(IWAE(3, "dreg")))
    small_vae(Adversarial(IWAE(3, "dreg"), on="latents"))


def test_a_frozen_likelihood_has_no_adaptive_weight(small_vae, binary):
    vae = small_vae(Adversarial(ELBO()))
    vae.likelihood.trainable = False
    vae.compile("adam")
    with pytest.raises(ValueError, match="frozen. Use Adversarial.adaptive=False"):
        vae.fit(binary, verbose=0)
