"""The pythae half of log_likelihood.py: `get_nll` on given weights and images.

    python benchmarks/log_likelihood_pythae.py WEIGHTS.npz IMAGES.npy K

Nothing of kvae is imported: pythae may live in an environment of its own.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import nn


def dense(kernel: np.ndarray, bias: np.ndarray) -> nn.Linear:
    """A linear layer with weights as Keras stores them."""
    layer = nn.Linear(*kernel.shape)
    layer.weight.data = torch.from_numpy(kernel.T.copy())
    layer.bias.data = torch.from_numpy(bias)
    return layer


class Encoder(BaseEncoder):
    """Two tanh layers, then mean and log-variance."""

    def __init__(self, w: Any) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            dense(w["encoder_0"], w["encoder_1"]),
            nn.Tanh(),
            dense(w["encoder_2"], w["encoder_3"]),
            nn.Tanh(),
        )
        self.loc = dense(w["posterior_loc_kernel"], w["posterior_loc_bias"])
        raw = w["posterior_raw_scale_kernel"], w["posterior_raw_scale_bias"]
        self.raw_scale = dense(*raw)

    def forward(self, x: Any) -> ModelOutput:
        """As pythae expects it."""
        hidden = self.hidden(x.reshape(len(x), -1))
        scale = nn.functional.softplus(self.raw_scale(hidden)) + 1e-4
        return ModelOutput(
            embedding=self.loc(hidden), log_covariance=2 * torch.log(scale)
        )


class Decoder(BaseDecoder):
    """Two tanh layers, then a probability for each pixel."""

    def __init__(self, w: Any) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            dense(w["decoder_0"], w["decoder_1"]),
            nn.Tanh(),
            dense(w["decoder_2"], w["decoder_3"]),
            nn.Tanh(),
            dense(w["likelihood_kernel"], w["likelihood_bias"]),
            nn.Sigmoid(),
        )

    def forward(self, z: Any) -> ModelOutput:
        """As pythae expects it."""
        return ModelOutput(reconstruction=self.layers(z))


def main() -> None:
    """Prints one line of JSON."""
    weights, images, num_samples = sys.argv[1:]
    w, x = np.load(weights), torch.from_numpy(np.load(images))
    torch.manual_seed(0)
    latent = w["posterior_loc_bias"].shape[0]
    config = VAEConfig((1, 784), latent_dim=latent, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(w), decoder=Decoder(w))
    with torch.no_grad():
        model.get_nll(x[:1], int(num_samples), 500)
        wall, used = time.perf_counter(), time.process_time()
        nll = -float(model.get_nll(x, int(num_samples), 500))  # it returns log p(x)
    print(
        json.dumps(
            {
                "nll": nll,
                "wall": (time.perf_counter() - wall) / len(x),
                "processor": (time.process_time() - used) / len(x),
            }
        )
    )


if __name__ == "__main__":
    main()
