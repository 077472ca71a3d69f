import keras
import numpy as np
import pytest
import tensorflow as tf

import kvae
from kvae import masks
from kvae.core.inputs import Inputs
from kvae.noise import Noise
from kvae.objectives import ELBO, IWAE, Completion, Masked, is_completing

pytestmark = pytest.mark.usefixtures("eagerly")

KEY = tf.constant([3, 4])


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(0)
    half = rng.random((24, 4, 2)) < 0.5
    return np.concatenate([half, half], axis=2).astype("float32")  # (24, 4, 4)


def make(x, **parts):
    keras.utils.set_random_seed(2)
    return kvae.presets.completing_vae(
        x, 2, filters=(4,), units=(8,), seed=0, **{"masks": "left_half", **parts}
    )


@pytest.fixture(scope="module")
def vae(x):
    return make(x)


def test_it_is_the_elbo_of_what_is_hidden_given_what_is_visible(vae, x):
    mask = masks.Half("left").draw(24, (4, 4)).numpy()
    given = masks.given_visible(x, mask)
    given = Inputs(**{name: tf.constant(value) for name, value in given.items()})
    noise = Noise(KEY)
    parts = vae.objective.parts(vae, Inputs(x), noise, True)
    expected = ELBO().parts(vae, given, noise, True)
    np.testing.assert_allclose(parts.elbo, expected.elbo, rtol=1e-6)
    np.testing.assert_allclose(parts.distortion, expected.distortion, rtol=1e-6)


def test_each_step_draws_fresh_masks_and_evaluation_repeats_them(x):
    objective = Completion(masks="random")
    model = make(x, masks="random")
    one, two = (
        objective.conditional(model, Inputs(x), Noise(tf.constant([0, step])))
        for step in (0, 1)
    )
    assert not np.array_equal(one.mask, two.mask)
    whole, rest = (
        objective.conditional(model, Inputs(x[start:]), Noise(KEY, tf.constant(start)))
        for start in (0, 9)
    )
    np.testing.assert_array_equal(whole.mask[9:], rest.mask)


def test_the_networks_see_no_hidden_entry_but_through_q(vae, x):
    """Prior and decoder give the same whatever is hidden."""
    changed = x.copy()
    changed[:, :, :2] = 1 - changed[:, :, :2]
    one, two = (
        vae.objective.parts(vae, Inputs(a), Noise(KEY), False).draw
        for a in (x, changed)
    )
    np.testing.assert_array_equal(one.prior["loc"], two.prior["loc"])
    assert not np.array_equal(one.posterior["loc"], two.posterior["loc"])


def test_missing_entries_are_neither_visible_nor_asked_for(vae, x):
    observed = np.ones_like(x)
    observed[:, 0] = 0
    holes = np.where(observed == 1, x, np.nan)
    made = vae.objective.conditional(vae, Inputs(holes, None, observed), Noise(KEY))
    assert not made.mask.numpy()[:, 0].any()
    assert not made.condition.numpy()[:, 0].any()
    assert made.mask.numpy()[:, 1:, :2].all()
    parts = vae.objective.parts(vae, Inputs(holes, None, observed), Noise(KEY), True)
    assert np.isfinite(parts.elbo).all()


@pytest.mark.slow
def test_it_trains_from_plain_arrays_and_survives_saving(x, tmp_path):
    vae = make(x, masks=masks.OneOf([masks.Half(s) for s in ("left", "right")]))
    vae.compile(keras.optimizers.Adam(0.01))
    history = vae.fit(x, epochs=8, batch_size=24, verbose=0, validation_data=(x,))
    losses = history.history["val_loss"]
    assert losses[-1] < losses[0]
    vae.save(tmp_path / "half.keras")
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    assert is_completing(loaded)
    assert loaded.objective.masks == vae.objective.masks
    for mask in ("left_half", "right_half"):
        one, two = (m.complete(x[:3], mask, num=2).x for m in (vae, loaded))
        np.testing.assert_array_equal(one, two)
    visible = masks.Half("left").draw(3, (4, 4)).numpy() == 1
    kept = vae.complete(x[:3], "left_half", num=2).x[:, 1]
    np.testing.assert_array_equal(kept[visible], x[:3][visible])


def test_it_wraps_any_objective(x):
    vae = make(x, objective=IWAE(3))
    parts = vae.objective.parts(vae, Inputs(x), Noise(KEY), True)
    assert "iwae_bound" in parts.metrics
    assert is_completing(vae)


def test_it_knows_itself_inside_other_wrappers(vae, x):
    assert is_completing(vae)
    assert not is_completing(kvae.VAE.for_data(x, 2, objective=Masked()))
    outer = kvae.objectives.MMD(Completion(ELBO(0.0)), weight=1.0)
    assert is_completing(make(x).with_prior(kvae.priors.StandardNormal(2), outer))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda vae, x: kvae.VAE.for_data(x, 2, objective=Completion()),
            r"whose encoder takes the visible part .* \(4, 4, 2\)",
        ),
        (
            lambda vae, x: vae.objective.parts(vae, Inputs(x, x), Noise(KEY), True),
            r"shape \(4, 4, 2\); received a condition of shape \(4, 4\)",
        ),
        (
            lambda vae, x: vae.complete({"x": x, "condition": x}, "left_half"),
            "pass x and mask without a condition",
        ),
        (lambda vae, x: Completion(masks="left"), "one of left_half"),
        (lambda vae, x: vae.elbo(x), "so its condition is the visible part"),
        (lambda vae, x: vae.sample(3), r"Call vae.complete\(x, mask\)"),
        (lambda vae, x: make(x[:, 0]), "Half hides parts of images"),
    ],
)
def test_what_makes_no_sense_is_refused(vae, x, call, message):
    with pytest.raises(ValueError, match=message):
        call(vae, x)
