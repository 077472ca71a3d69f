"""What a model prints of itself: parts, sizes and reasons."""

import keras
import numpy as np
from support import small

import kvae
from kvae import evaluation

X = np.random.default_rng(0).random((40, 8, 8)).astype("float32")


def chosen():
    return kvae.VAE.for_data(X, 3)


def test_the_summary_names_every_part_its_size_and_why_it_was_chosen(capsys):
    vae = chosen()
    capsys.readouterr()
    vae.summary()
    text = capsys.readouterr().out
    assert "?" not in text
    numbers = sum(int(np.prod(w.shape)) for w in vae.trainable_weights)
    assert text.startswith(f"VAE of examples (8, 8), 3 latents, {numbers:,} weights\n")
    rows = {line.split()[0]: line for line in text.splitlines()[3:]}
    assert list(rows) == [
        "encoder",
        "decoder",
        "posterior",
        "likelihood",
        "prior",
        "objective",
    ]
    encoder = 64 * 256 + 256
    assert f"{encoder:,}" in rows["encoder"]
    assert "2 layers of Standardize, Dense to (256,)" in rows["encoder"]
    assert "images of 8x8 pixels" in rows["encoder"]
    assert "because entries are real numbers from" in rows["likelihood"]
    assert "DiagonalNormal(latent_dim=3)" in rows["posterior"]
    assert rows["objective"].rstrip().endswith("0")


def test_expanded_the_networks_follow_as_keras_prints_them():
    lines = []
    chosen().summary(print_fn=lambda text, **options: lines.append(text))
    assert len(lines) == 1
    chosen().summary(
        print_fn=lambda text, **options: lines.append(text), expand_nested=True
    )
    assert 'Model: "decoder"' in "\n".join(lines)


def test_reasons_are_saved(tmp_path):
    vae = chosen()
    vae.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    assert again.reasons == vae.reasons
    assert again.reasons["x"] == "40 examples of shape (8, 8)"


def test_repr_and_html_hold_parts_and_numbers():
    vae = chosen()
    assert repr(vae).startswith("<VAE of examples (8, 8), 3 latents, ")
    assert repr(vae).endswith(": DiagonalNormal, StandardNormal, Normal, ELBO>")
    page = vae._repr_html_()
    assert page.count("<tr>") == 7
    assert "images of 8x8 pixels" in page


def test_parts_that_were_given_need_no_reason(capsys):
    vae = small.vae()
    vae.summary()
    assert "because" not in capsys.readouterr().out
    assert "Bernoulli(data_shape=" in vae._repr_html_()


def test_a_model_of_an_unbuilt_network_says_so():
    vae = kvae.VAE(
        keras.Sequential([keras.layers.Dense(4)]),
        keras.Sequential([keras.layers.Dense(4)]),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Normal((3,)),
    )
    assert "not built" in repr(vae)


def test_results_print_their_table_wherever_they_are_shown():
    usage = evaluation.latent_usage(chosen(), X)
    assert repr(usage) == str(usage)
    assert "rate per dimension" not in repr(usage)
    page = usage._repr_html_()
    assert f"<th>rate</th><td>{usage.rate:.4g} nats per example</td>" in page
