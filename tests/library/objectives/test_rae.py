import numpy as np
import pytest

from kvae.objectives import MMD, RAE

pytestmark = pytest.mark.usefixtures("eagerly")


def test_terms_are_the_numpy_form(linear_gaussian, x):
    parts = linear_gaussian.parts(RAE(0.5, "l2", 0.01), x)
    code = linear_gaussian.vae.encode(x).mean().numpy()
    seen = linear_gaussian.vae.reconstruct(x)
    squares = ((x - seen) ** 2).sum(axis=1)
    expected = 0.5 * squares / 0.7**2 + 4 * np.log(0.7 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(parts.distortion, expected, rtol=1e-9)
    np.testing.assert_allclose(parts.kl_term, 0.25 * (code**2).sum(axis=1), rtol=1e-9)
    decoder = sum(
        float(np.sum(v.numpy() ** 2)) for v in linear_gaussian.decoder_variables
    )
    np.testing.assert_allclose(parts.metrics["decoder_regularizer"], decoder)
    np.testing.assert_allclose(parts.data_term, expected + 0.01 * decoder, rtol=1e-9)


def test_it_draws_no_noise(linear_gaussian, x):
    first, second = (
        linear_gaussian.parts(RAE(), x, seed=seed).data_term for seed in (0, 1)
    )
    np.testing.assert_array_equal(first, second)


def test_gradient_penalty_is_the_jacobian_norm(linear_gaussian, x):
    vae = linear_gaussian.vae
    points = np.concatenate([np.zeros((1, 2)), np.eye(2)])
    means = vae.likelihood.mean(vae.likelihood_params(points)).numpy()
    expected = ((means[1:] - means[0]) ** 2).sum()  # the decoder is affine
    copies = np.repeat(x[:1], 20_000, axis=0)
    parts = linear_gaussian.parts(RAE(regularizer="gradient_penalty"), copies)
    found = parts.metrics["decoder_regularizer"].numpy()
    error = found.std(ddof=1) / len(copies) ** 0.5
    assert abs(found.mean() - expected) < 5 * error
    assert 5 * error < 0.1 * expected


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("regularizer", ["l2", "gradient_penalty", None])
def test_what_is_no_elbo_is_reported_as_nan(small_vae, binary, regularizer):
    vae = small_vae(RAE(regularizer=regularizer))
    history = vae.fit(binary, epochs=2, verbose=0).history
    for name in ("rate", "elbo", "bits_per_dim"):
        assert np.isnan(history[name]).all()
    for name in ("loss", "distortion", "code_norm", "decoder_regularizer"):
        assert np.isfinite(history[name]).all()
    assert np.isnan(vae.elbo(binary)).all()
    assert all(np.isfinite(w).all() for w in vae.get_weights())


def test_with_mmd_it_is_a_deterministic_wasserstein_autoencoder(linear_gaussian, x):
    parts = linear_gaussian.parts(MMD(RAE(0.0, None), weight=2.0), x)
    np.testing.assert_allclose(
        parts.data_term, parts.distortion + 2.0 * parts.metrics["mmd"], rtol=1e-9
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta": -1}, "beta >= 0, or a schedule.*received -1"),
        ({"regularizer": "spectral"}, "received 'spectral'"),
        ({"regularizer_weight": -1}, ">= 0; received -1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RAE(**arguments)
