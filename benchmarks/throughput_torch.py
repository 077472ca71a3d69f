"""The PyTorch systems of throughput.py: a plain loop, pythae's trainer, the peak.

    python benchmarks/throughput_torch.py SYSTEM '{"model": "dense", ...}'

Nothing of kvae is imported: pythae may live in an environment of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

import numpy as np
from throughput_turns import Turns

LEARNING_RATE = 1e-3


def networks(job: dict[str, Any]) -> tuple[Any, Any, int]:
    """The layers of kvae.networks, and the number of features."""
    from torch import nn

    latent = job["latent"]
    if job["model"] == "dense":
        encoder = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU()]
        decoder = [nn.Linear(latent, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU()]
        decoder += [nn.Linear(512, 784)]
        return nn.Sequential(*encoder), nn.Sequential(*decoder), 256
    encoder = [nn.Conv2d(1, 32, 4, 2, 1), nn.GELU(), nn.Conv2d(32, 64, 4, 2, 1)]
    encoder += [nn.GELU(), nn.Flatten(), nn.Linear(64 * 49, 512), nn.GELU()]
    decoder = [nn.Linear(latent, 512), nn.GELU(), nn.Linear(512, 32 * 49), nn.GELU()]
    decoder += [nn.Unflatten(1, (32, 7, 7))]
    decoder += [nn.Conv2d(32, 64, 3, padding=1), nn.GELU(), nn.PixelShuffle(2)]
    decoder += [nn.Conv2d(16, 16, 5, padding=2), nn.GELU()]
    decoder += [nn.Conv2d(16, 16, 3, padding=1), nn.GELU(), nn.PixelShuffle(2)]
    decoder += [nn.Conv2d(4, 1, 1)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder), 512


def plain(job: dict[str, Any], x: np.ndarray, turns: Turns) -> None:
    """A loop as in PyTorch's tutorials, with the data in one tensor."""
    import torch
    from torch.nn import functional

    turns.since_start("imported")
    encoder, decoder, features = networks(job)
    loc = torch.nn.Linear(features, job["latent"])
    log_variance = torch.nn.Linear(features, job["latent"])
    parts = torch.nn.ModuleList([encoder, decoder, loc, log_variance])
    optimizer = torch.optim.Adam(parts.parameters(), lr=LEARNING_RATE)
    turns.since_start("built", parameters=sum(p.numel() for p in parts.parameters()))
    data, size = torch.from_numpy(x), job["batch"]
    while True:
        turns.begin()
        order = torch.randperm(len(data))
        for start in range(0, len(data) - size + 1, size):
            batch = data[order[start : start + size]]
            hidden = encoder(batch)
            mean, log_var = loc(hidden), log_variance(hidden)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            entropy = functional.binary_cross_entropy_with_logits(
                decoder(z), batch, reduction="sum"
            )
            kl = -0.5 * torch.sum(1 + log_var - mean.square() - log_var.exp())
            loss = (entropy + kl) / size
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        turns.end()


def pythae(job: dict[str, Any], x: np.ndarray, turns: Turns) -> None:
    """The `BaseTrainer` of pythae on its `VAE`, with these networks."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    turns.since_start("imported")
    hidden_layers, pixel_layers, features = networks(job)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = hidden_layers
            self.loc = torch.nn.Linear(features, job["latent"])
            self.log_variance = torch.nn.Linear(features, job["latent"])

        def forward(self, x: Any) -> Any:
            hidden = self.hidden(x)
            return ModelOutput(
                embedding=self.loc(hidden), log_covariance=self.log_variance(hidden)
            )

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.pixels = pixel_layers

        def forward(self, z: Any) -> Any:
            return ModelOutput(reconstruction=torch.sigmoid(self.pixels(z)))

    class TakeTurns(TrainingCallback):
        def on_epoch_begin(self, training_config: Any, **kwargs: Any) -> None:
            turns.begin()

        def on_epoch_end(self, training_config: Any, **kwargs: Any) -> None:
            turns.end()

    settings = VAEConfig(
        input_dim=x.shape[1:], latent_dim=job["latent"], reconstruction_loss="bce"
    )
    model = VAE(settings, Encoder(), Decoder())
    count = sum(p.numel() for p in model.parameters())
    turns.since_start("built", parameters=count)
    with tempfile.TemporaryDirectory() as folder:
        trainer = BaseTrainer(
            model=model,
            train_dataset=BaseDataset(torch.from_numpy(x), torch.ones(len(x))),
            training_config=BaseTrainerConfig(
                output_dir=folder,
                num_epochs=10**6,
                learning_rate=LEARNING_RATE,
                per_device_train_batch_size=job["batch"],
                no_cuda=True,
            ),
            callbacks=[TakeTurns()],
        )
        trainer.train()


def peak(job: dict[str, Any], x: np.ndarray, turns: Turns) -> None:
    """Multiplies 2048 x 2048 float32 matrices: an "example" is one product."""
    import torch

    del x
    left, right = torch.randn(2048, 2048), torch.randn(2048, 2048)
    turns.since_start("imported")
    turns.since_start("built", parameters=0)
    while True:
        turns.begin()
        for _ in range(job["products"]):
            torch.matmul(left, right)
        turns.end()


if __name__ == "__main__":
    wire = Turns()
    task = json.loads(sys.argv[2])
    shape = (1, 28, 28) if task["model"] == "conv" else (784,)
    bits = np.load(task["data"]).reshape(-1, *shape)
    {"plain": plain, "pythae": pythae, "peak": peak}[sys.argv[1]](task, bits, wire)
