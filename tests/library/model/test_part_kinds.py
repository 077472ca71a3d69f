"""Networks as tutorials write them: taken, or refused in a sentence that helps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

import kvae
from kvae.networks import conv_decoder, conv_encoder, mlp

X = small.binary(10)


def encoder(*outputs):
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8)(inputs)
    return keras.Model(inputs, [keras.layers.Dense(2)(hidden) for _ in outputs])


def vae(encoder, decoder, dim=2, shape=(6,)):
    posterior = kvae.posteriors.DiagonalNormal(dim)
    return kvae.VAE(encoder, decoder, posterior, kvae.likelihoods.Bernoulli(shape))


@pytest.mark.parametrize("outputs", ["mean log_var", "mean log_var z"])
def test_an_encoder_of_several_outputs_is_refused(outputs):
    names = outputs.split()
    decoder = mlp((2,), (8,), role="decoder")
    with pytest.raises(ValueError, match=f"returns {len(names)} outputs.*one tensor"):
        vae(encoder(*names), decoder)


def test_a_decoder_that_ends_in_a_picture_is_warned_of():
    z = keras.Input((2,))
    picture = keras.Model(z, keras.layers.Dense(6, activation="sigmoid")(z))
    with pytest.warns(UserWarning, match="ends in a picture"):
        vae(mlp((6,), (8,)), picture)


def test_sizes_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match=r"takes z of shape \(3,\)"):
        vae(mlp((6,), (8,)), mlp((3,), (8,), role="decoder"))
    large = conv_decoder(8, (28, 28))
    with pytest.raises(ValueError, match="pictures of 28x28"):
        vae(conv_encoder((8, 8, 1)), large, dim=8, shape=(8, 8, 1))


def test_the_size_of_z_is_read_by_name_beside_a_condition():
    def conditional(dim):
        return mlp((dim,), (8,), role="decoder", condition_shape=(5,))

    assert vae(mlp((6,), (8,)), conditional(2)).latent_dim == 2
    with pytest.raises(ValueError, match=r"takes z of shape \(3,\)"):
        vae(mlp((6,), (8,)), conditional(3))


@pytest.mark.slow
def test_keras_exports_a_model_that_was_fitted_and_never_called(tmp_path):
    model = small.vae()
    model.fit(X, verbose=0)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(loaded.serve(X), model.reconstruct(X), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@pytest.mark.usefixtures("eagerly")
def test_keras_quantizes_a_model():
    model = small.vae()
    before = model.elbo(X).mean()
    model.quantize("int8")
    np.testing.assert_allclose(model.elbo(X).mean(), before, atol=0.2)


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("objective", "elbo", "here kvae.objectives.ELBO(...); received 'elbo'"),
        (
            "likelihood",
            "normal",
            "here kvae.likelihoods.Normal(...); received 'normal'",
        ),
        ("prior", "vamp_prior", "here kvae.priors.VampPrior(...)"),
        ("posterior", "none_such", "Posterior object; received 'none_such'"),
    ],
)
def test_a_string_names_its_class(name, text, named):
    parts = {
        "encoder": mlp((6,), (8,)),
        "decoder": mlp((2,), (8,), role="decoder"),
        "posterior": kvae.posteriors.DiagonalNormal(2),
        "likelihood": kvae.likelihoods.Bernoulli((6,)),
    }
    with pytest.raises(TypeError) as caught:
        kvae.VAE(**{**parts, name: text})
    assert named in str(caught.value)
