"""The installed wheel, without any extra: complete, and a model can be fitted."""

import importlib.util
import pathlib
import sys
import sysconfig
import tempfile

import keras
import numpy as np

import kvae
import kvae.export
import kvae.family
import kvae.training

site = pathlib.Path(sysconfig.get_path("purelib")).resolve()
for module in (kvae, kvae.training, kvae.export, kvae.family):
    found = pathlib.Path(str(module.__file__)).resolve()
    assert site in found.parents, f"{module.__name__} comes from {found}"
assert (site / "kvae" / "py.typed").is_file()
assert list((site / "kvae" / "training").rglob("recipes/*.toml"))
assert not (site / "tests").exists()

rng = np.random.default_rng(0)
x = (rng.random((256, 8, 8, 1)) < 0.3).astype("float32")
vae = kvae.VAE.for_data(x, latent_dim=2)
vae.compile(optimizer="adam")
before = vae.elbo(x).mean()
vae.fit(x, epochs=5, verbose=0)
after = vae.elbo(x).mean()
assert after > before + 1, f"five epochs moved the ELBO from {before} to {after} nats"

with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder) / "model.keras"
    vae.save(file)
    np.testing.assert_array_equal(keras.saving.load_model(file).elbo(x), vae.elbo(x))

    if importlib.util.find_spec("matplotlib") is not None:
        sys.exit("this environment has an extra: the check of its absence is void")
    message = "training with pictures did without its extra"
    try:
        run = pathlib.Path(folder) / "run"
        kvae.training.train(kvae.training.load_recipe("digits"), run)
    except ImportError as error:
        message = str(error)
    assert 'pip install "keras-vae[train]"' in message, message
print(
    f"kvae {kvae.__version__}: ELBO {before:.1f} -> {after:.1f} nats; no extra needed"
)
