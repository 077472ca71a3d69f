"""The PyTorch systems of time_to_quality.py: a plain loop, and pythae's trainer.

    python benchmarks/time_to_quality_torch.py SYSTEM '{"seed": 0, ...}'

Nothing of kvae is imported: pythae may live in an environment of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

import numpy as np
import torch
from throughput_torch import LEARNING_RATE, networks
from throughput_turns import Turns
from torch import nn
from torch.nn import functional

TEST_BATCH = 500


def bound(mean: Any, log_variance: Any, log_p: Any) -> Any:
    """The ELBO of each picture: log p(x|z), less the rate in closed form."""
    kl = mean.square() + log_variance.exp() - 1 - log_variance
    return log_p.sum(1) - 0.5 * kl.sum(1)


def draw(mean: Any, log_variance: Any) -> Any:
    """One latent for each picture."""
    return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)


class Plain(nn.Module):
    """A VAE as in PyTorch's examples."""

    def __init__(self, job: dict[str, Any], dense: bool) -> None:
        super().__init__()
        latent = job["latent"]
        if dense:  # pythae's default
            features = 512
            encoder = [nn.Flatten(), nn.Linear(784, features), nn.ReLU()]
            self.encoder = nn.Sequential(*encoder)
            decoder = [nn.Linear(latent, 512), nn.ReLU(), nn.Linear(512, 784)]
            self.decoder = nn.Sequential(*decoder)
        else:
            self.encoder, self.decoder, features = networks(job)
        self.loc = nn.Linear(features, latent)
        self.log_variance = nn.Linear(features, latent)

    def elbo(self, x: Any) -> Any:
        """Of each picture."""
        hidden = self.encoder(x)
        mean, log_variance = self.loc(hidden), self.log_variance(hidden)
        logits = self.decoder(draw(mean, log_variance)).flatten(1)
        entropy = functional.binary_cross_entropy_with_logits(
            logits, x.flatten(1), reduction="none"
        )
        return bound(mean, log_variance, -entropy)


def mean_elbo(elbo: Any, test: Any) -> float:
    """The mean over the test pictures."""
    with torch.no_grad():
        return float(torch.cat([elbo(x) for x in test.split(TEST_BATCH)]).mean())


def plain(
    job: dict[str, Any], train: Any, test: Any, turns: Turns, dense: bool
) -> None:
    """A loop with the data in one tensor."""
    model = Plain(job, dense)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    turns.since_start("built", parameters=sum(p.numel() for p in model.parameters()))
    while True:
        turns.begin()
        for rows in torch.randperm(len(train)).split(job["batch"]):
            loss = -model.elbo(torch.bernoulli(train[rows])).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        turns.end(lambda: {"elbo": mean_elbo(model.elbo, test)})


def pythae(job: dict[str, Any], train: Any, test: Any, turns: Turns) -> None:
    """The `BaseTrainer` of pythae on its `VAE`, with its own networks."""
    from pythae.data.datasets import BaseDataset, DatasetOutput
    from pythae.models import VAE, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Drawn(BaseDataset):
        def __getitem__(self, index: Any) -> Any:
            bits = torch.bernoulli(self.data[index])
            return DatasetOutput(data=bits, labels=self.labels[index])

    shape = tuple(train.shape[1:])
    config = VAEConfig(shape, latent_dim=job["latent"], reconstruction_loss="bce")
    model = VAE(config)

    def elbo(x: Any) -> Any:
        found = model.encoder(x)
        mean, log_variance = found.embedding, found.log_covariance
        p = model.decoder(draw(mean, log_variance)).reconstruction.flatten(1)
        entropy = functional.binary_cross_entropy(p, x.flatten(1), reduction="none")
        return bound(mean, log_variance, -entropy)

    class TakeTurns(TrainingCallback):
        def on_epoch_begin(self, training_config: Any, **kwargs: Any) -> None:
            turns.begin()

        def on_epoch_end(self, training_config: Any, **kwargs: Any) -> None:
            turns.end(lambda: {"elbo": mean_elbo(elbo, test)})

    turns.since_start("built", parameters=sum(p.numel() for p in model.parameters()))
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=10**6,
            learning_rate=LEARNING_RATE,
            per_device_train_batch_size=job["batch"],
            no_cuda=True,
            seed=job["seed"],
        )
        data = Drawn(train, torch.ones(len(train)))
        trainer = BaseTrainer(model, data, None, settings, callbacks=[TakeTurns()])
        trainer.train()


if __name__ == "__main__":
    wire = Turns()
    wire.since_start("imported")
    task = json.loads(sys.argv[2])
    torch.manual_seed(task["seed"])
    with np.load(task["data"]) as arrays:
        parts = [
            torch.from_numpy(np.moveaxis(arrays[name], -1, 1).copy())
            for name in ("train", "test")
        ]
    if sys.argv[1] == "pythae":
        pythae(task, *parts, wire)
    else:
        plain(task, *parts, wire, sys.argv[1] == "dense")
