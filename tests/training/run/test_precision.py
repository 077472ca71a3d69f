"""Half precision in the networks costs no nats; densities stay in float32."""

import keras
import numpy as np
import pytest
from support import small

from kvae.training import load_recipe
from kvae.training.run.build_model import build_model
from kvae.training.run.runner import load_run_data

pytestmark = pytest.mark.slow

SETTINGS = [
    "encoder.units=[64]",
    "decoder.units=[64]",
    "binarize=dynamic",
    "likelihood=bernoulli",
    "latent_dim=4",
    "fit_prior=",
]


@pytest.fixture(scope="module")
def trained() -> dict[str, np.ndarray]:
    """The ELBO of each test image under each policy, from the same start."""
    config = load_recipe("digits", settings=SETTINGS)
    data = load_run_data(config)
    found = {}
    for name in ("float32", "mixed_bfloat16", "mixed_float16"):
        with small.policy(name):
            keras.utils.set_random_seed(0)
            vae = build_model(config, data.train)
            vae.compile(keras.optimizers.Adam(4e-3), steps_per_execution=20)
            vae.fit(data.train, batch_size=32, epochs=10, verbose=0)
            values = vae.elbo(data.test, num_samples=8, seed=0)
        assert values.dtype == np.float32
        assert all(v.dtype == "float32" for v in vae.trainable_variables)
        found[name] = values.astype("float64")
    return found


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains_to_the_same_elbo(
    trained: dict[str, np.ndarray], name: str
) -> None:
    """Within half a percent of the float32 ELBO, and well above an untrained model."""
    wanted, found = trained["float32"].mean(), trained[name].mean()
    assert wanted > -32  # ln 2 nats for each of 64 pixels are -44.4
    assert abs(found - wanted) < 0.005 * abs(wanted)
