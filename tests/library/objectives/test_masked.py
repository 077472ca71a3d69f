import numpy as np
import pytest
import tensorflow as tf
from support import small

from kvae import masks
from kvae.core.inputs import Inputs
from kvae.noise import Noise
from kvae.objectives import ELBO, Masked

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture(scope="module")
def x():
    return small.binary(30)


@pytest.fixture(scope="module")
def vae(x):
    model = small.vae(objective=Masked(masks=masks.RandomEntries(0.4)))
    model.build((None, small.DIM))
    return model


def noise(step=0):
    return Noise(tf.constant([1, step]))


def hidden_by(vae, x, step):
    """The masks that made the loss, found by trying: those of the objective's noise."""
    from kvae.objectives.completion import MASK_TAG

    family = vae.objective.masks
    return family.draw_from(noise(step).fold(MASK_TAG), len(x), (small.DIM,)).numpy()


def test_it_is_the_elbo_of_the_visible_entries(vae, x):
    mask = hidden_by(vae, x, 0)
    parts = vae.objective.parts(vae, Inputs(x), noise(), True)
    expected = ELBO().parts(vae, Inputs(x, None, mask), noise(), True)
    np.testing.assert_allclose(parts.elbo, expected.elbo, rtol=1e-6)
    other = vae.objective.parts(vae, Inputs(x), noise(1), True)
    assert not np.allclose(parts.distortion, other.distortion)


def test_what_is_hidden_does_not_reach_the_loss(vae, x):
    mask = hidden_by(vae, x, 0)
    parts = vae.objective.parts(vae, Inputs(x), noise(), True)
    changed = np.where(mask == 1, x, 1 - x)
    again = vae.objective.parts(vae, Inputs(changed), noise(), True)
    np.testing.assert_array_equal(parts.elbo, again.elbo)


def test_evaluation_sees_everything(vae, x):
    parts = vae.objective.parts(vae, Inputs(x), noise(), False)
    expected = ELBO().parts(vae, Inputs(x), noise(), False)
    np.testing.assert_array_equal(parts.elbo, expected.elbo)


def test_what_is_missing_stays_missing(vae, x):
    observed = np.ones_like(x)
    observed[:, 2] = 0
    holes = np.where(observed == 1, x, np.nan)
    one = vae.objective.parts(vae, Inputs(holes, None, observed), noise(), True)
    mask = observed * hidden_by(vae, x, 0)
    expected = ELBO().parts(vae, Inputs(x, None, mask), noise(), True)
    np.testing.assert_allclose(one.elbo, expected.elbo, rtol=1e-6)


def test_a_family_that_does_not_suit_is_refused_when_the_model_is_built():
    with pytest.raises(ValueError, match="Half hides parts of images"):
        small.vae(objective=Masked(masks="left_half")).build((None, small.DIM))


@pytest.mark.parametrize(
    ("family", "share"),
    [
        ("random", 0),
        (masks.RandomEntries(0.99), 0),
        (masks.Stretch(0.5, "anywhere"), 0),
        ("future", 25),
        (masks.Stretch((0.3, 0.6)), 30),
    ],
)
def test_entries_that_every_mask_hides_are_warned_of(family, share, caplog):
    """Of 20 steps, "future" hides the last 5, and shares of at least 0.3 the last 6."""
    objective = Masked(masks=family)
    objective._warn_of_unseen((20,))
    objective._warn_of_unseen((20,))
    assert len(caplog.messages) == (share > 0)  # once
    if share:
        assert f"hide {share} % of the entries in all" in caplog.messages[0]


def test_training_warns_of_entries_that_every_mask_hides(x, caplog):
    model = small.vae(objective=Masked(masks="future"))
    model.compile("sgd")
    model.fit(x, batch_size=15, verbose=0)
    assert [said for said in caplog.messages if "never learns these entries" in said]
