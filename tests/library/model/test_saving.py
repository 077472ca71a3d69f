"""A model is what its file says: weights, optimizer, step and noise."""

import copy

import keras
import numpy as np
import pytest
from support import small

import kvae

X = small.binary()

CONTINUE = """
import sys
import keras
import numpy as np
import kvae
model = keras.saving.load_model(sys.argv[1])
data = np.load(sys.argv[2])["x"]
np.savez(sys.argv[3] + "_before", *model.get_weights())
assert model.optimizer is not None and type(model.optimizer).__name__ == "Adam"
model.fit(data, batch_size=16, epochs=2, shuffle=False, verbose=0)
np.savez(sys.argv[3], *model.get_weights())
"""


def fit(model, epochs):
    model.fit(X, batch_size=16, epochs=epochs, shuffle=False, verbose=0)


@pytest.mark.slow
def test_training_goes_on_bit_for_bit_in_a_fresh_process(tmp_path):
    model = small.vae()
    fit(model, 2)
    at_save = model.get_weights()
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "x.npz", x=X)
    fit(model, 2)
    names = (tmp_path / "model.keras", tmp_path / "x.npz", tmp_path / "after")
    small.fresh_python(CONTINUE, *names)
    for name, wanted in (("after_before", at_save), ("after", model.get_weights())):
        found = list(np.load(tmp_path / f"{name}.npz").values())
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("eagerly")
def test_the_file_keeps_the_compile_state_and_an_assigned_beta(tmp_path):
    model = small.vae(compile={"optimizer": keras.optimizers.SGD(0.03, momentum=0.8)})
    fit(model, 1)
    model.objective.beta = 0.25
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.SGD)
    assert loaded.optimizer.momentum == 0.8
    pairs = zip(loaded.optimizer.variables, model.optimizer.variables, strict=True)
    for a, b in pairs:
        np.testing.assert_array_equal(np.array(a), np.array(b))
    assert float(loaded.objective.beta.value) == 0.25
    options = {"verbose": 0, "return_dict": True}
    assert loaded.evaluate(X, **options) == model.evaluate(X, **options)


@pytest.mark.slow
def test_a_deep_copy_is_a_model_of_its_own():
    model = small.vae()
    fit(model, 1)
    model.elbo(X)  # graphs that belong to the original
    twin = copy.deepcopy(model)
    before = model.elbo(X)
    np.testing.assert_array_equal(twin.elbo(X), before)
    fit(twin, 1)
    np.testing.assert_array_equal(model.elbo(X), before)
    assert np.any(twin.elbo(X) != before)


def test_a_clone_has_the_architecture_and_fresh_weights():
    model = small.vae()
    clone = keras.models.clone_model(model)
    assert isinstance(clone, kvae.VAE)
    shapes = [w.shape for w in model.get_weights()]
    assert [w.shape for w in clone.get_weights()] == shapes
    assert small.largest_difference(model, clone) > 0.01


@pytest.mark.usefixtures("eagerly")
def test_weights_alone_can_be_saved_and_loaded(tmp_path):
    model, other = small.vae(), small.vae(seed=8)
    fit(model, 1)
    other.optimizer.build(other.trainable_variables)  # Keras saves its slots too
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.elbo(X), model.elbo(X))


def test_summary_shows_the_five_parts():
    lines: list[str] = []
    small.vae().summary(print_fn=lines.append)
    text = "\n".join(lines)
    for part in ("encoder", "decoder", "DiagonalNormal", "Bernoulli", "ELBO"):
        assert part in text
    assert "unbuilt" not in text
