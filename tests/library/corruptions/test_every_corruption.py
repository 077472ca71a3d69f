import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

from kvae import corruptions
from kvae.corruptions import AdditiveNormal, Corruption, PixelDropout, SaltAndPepper

KEY = tf.constant([3, 4])
SPECIMENS = [
    AdditiveNormal(0.3),
    SaltAndPepper(0.25, low=-1.0, high=2.0),
    PixelDropout(0.4, value=0.5),
]
EACH = pytest.mark.parametrize("corruption", SPECIMENS, ids=lambda c: type(c).__name__)


def test_every_public_corruption_has_a_specimen():
    public = {
        c
        for c in vars(corruptions).values()
        if inspect.isclass(c)
        and issubclass(c, Corruption)
        and not inspect.isabstract(c)
    }
    assert public == {type(c) for c in SPECIMENS}


@EACH
def test_the_key_is_all_the_noise_depends_on(corruption):
    x = tf.fill((5, 4, 4, 2), 0.25)
    first = corruption(x, KEY)
    np.testing.assert_array_equal(first, corruption(x, KEY))
    np.testing.assert_array_equal(first, tf.function(corruption)(x, KEY))
    assert not np.array_equal(first, corruption(x, KEY + 1))
    assert first.shape == x.shape
    assert first.dtype == x.dtype


@EACH
def test_the_config_makes_it_again(corruption):
    config = keras.saving.serialize_keras_object(corruption)
    twin = keras.saving.deserialize_keras_object(config)
    x = tf.random.stateless_uniform((3, 6), (1, 2))
    np.testing.assert_array_equal(twin(x, KEY), corruption(x, KEY))


@EACH
def test_float64_stays_float64(corruption):
    assert corruption(tf.ones((2, 3), tf.float64), KEY).dtype == tf.float64


class Watch(keras.layers.Layer):
    """An encoder that notes what it was shown."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4)
        self.shown = []

    def call(self, x):
        if tf.executing_eagerly():
            self.shown.append(np.asarray(x))
        return self.dense(x)


@EACH
def test_training_alone_is_noisy_and_its_target_clean(corruption):
    encoder = Watch()
    vae = small.vae({"run_eagerly": True}, encoder=encoder, corruption=corruption)
    x = small.binary(20)
    vae.fit(x, batch_size=20, epochs=2, shuffle=False, verbose=0)
    one, two = (s for s in encoder.shown if len(s) == 20)
    assert not np.array_equal(one, x)
    assert not np.array_equal(one, two)  # each step draws new noise
    encoder.shown.clear()
    evaluated = vae.evaluate(x, verbose=0, return_dict=True)
    assert encoder.shown
    assert all(np.array_equal(s, x) for s in encoder.shown)
    elbo = vae.elbo(x)
    vae.corruption = None
    assert vae.evaluate(x, verbose=0, return_dict=True) == evaluated
    vae.compiled_functions = type(vae.compiled_functions)()  # traced again
    np.testing.assert_array_equal(vae.elbo(x), elbo)


def test_the_likelihood_is_that_of_the_clean_x():
    """With every pixel dropped q(z|x~) knows nothing; the target is still x."""
    vae = small.noise_free(corruption=PixelDropout(1.0))
    x = small.binary(20)
    blind = small.noise_free()
    params = blind.posterior_params(_inputs(np.zeros_like(x)))
    z = params["loc"] + params["scale"]
    likelihood = blind.likelihood.distribution(blind.likelihood_params(z))
    expected = -np.mean(likelihood.log_prob(x))
    logs = vae.train_on_batch(x, return_dict=True)
    assert logs["distortion"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_the_seed_repeats_the_training():
    x = small.binary(30)
    twins = [small.vae(corruption=SaltAndPepper(0.2)) for _ in range(2)]
    for twin in twins:
        keras.utils.set_random_seed(1)
        twin.fit(x, epochs=2, verbose=0)
    assert small.largest_difference(*twins) == 0
    clean = small.vae()
    keras.utils.set_random_seed(1)
    clean.fit(x, epochs=2, verbose=0)
    assert small.largest_difference(clean, twins[0]) > 1e-4


@pytest.mark.usefixtures("eagerly")
def test_it_is_saved_with_the_model_and_old_files_load(tmp_path):
    vae = small.vae(corruption=AdditiveNormal(0.2))
    vae.fit(small.binary(8), verbose=0)
    vae.save(tmp_path / "m.keras")
    assert keras.saving.load_model(tmp_path / "m.keras").corruption.scale == 0.2
    config = vae.get_config()
    del config["corruption"]
    assert type(vae).from_config(config).corruption is None


def test_something_else_is_refused():
    with pytest.raises(TypeError, match="corruption must be a kvae.corruptions"):
        small.vae(corruption=keras.layers.GaussianNoise(0.1))


def _inputs(x):
    from kvae.core.inputs import Inputs

    return Inputs(tf.constant(x))
