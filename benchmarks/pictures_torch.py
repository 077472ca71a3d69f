"""The PyTorch peers of pictures.py: the same pictures, batch, and processor time.

    python benchmarks/pictures_torch.py SYSTEM emoji64.npz --minutes 12 --out peer.npy

SYSTEM is "pythae", its VAE with its ResNet networks of 64x64 pixels, or "kl", a plain
autoencoder of the layout of diffusers' AutoencoderKL with about as many weights as kvae's
model. It writes the reconstructions of the held-out pictures, in [0, 1], for
pictures_judge.py. Nothing of kvae is imported: PyTorch may live in an environment of its
own.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import time
from typing import Any

import numpy as np
import torch
from torch import nn

BATCH = 64
LEARNING_RATE = 2e-3
WARMUP = 100  # steps


class Residual(nn.Module):
    """Two normalized convolutions around a shortcut."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.GroupNorm(8, inner),
            nn.SiLU(),
            nn.Conv2d(inner, outer, 3, padding=1),
            nn.GroupNorm(8, outer),
            nn.SiLU(),
            nn.Conv2d(outer, outer, 3, padding=1),
        )
        self.short = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x: Any) -> Any:
        """Adds the path to the shortcut."""
        return self.short(x) + self.path(x)


class Attention(nn.Module):
    """Places of the smallest maps look at one another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.attention = nn.MultiheadAttention(width, 1, batch_first=True)

    def forward(self, x: Any) -> Any:
        """Adds what each place saw."""
        places = self.norm(x).flatten(2).transpose(1, 2)
        seen = self.attention(places, places, places, need_weights=False)[0]
        return x + seen.transpose(1, 2).reshape(x.shape)


class AutoencoderKL(nn.Module):
    """Maps of 16x16 places with 4 latents each; the loss weighs the KL by 1e-6."""

    def __init__(
        self, widths: tuple[int, ...] = (16, 32, 40), latents: int = 4
    ) -> None:
        super().__init__()
        first, last = widths[0], widths[-1]
        down: list[nn.Module] = [nn.Conv2d(3, first, 3, padding=1)]
        up: list[nn.Module] = [nn.Conv2d(latents, last, 3, padding=1)]
        for k, width in enumerate(widths):
            down.append(Residual(widths[max(k - 1, 0)], width))
            if k < len(widths) - 1:
                down.append(nn.Conv2d(width, width, 3, 2, 1))
        down += [Residual(last, last), Attention(last), Residual(last, last)]
        down += [nn.GroupNorm(8, last), nn.SiLU()]
        down += [nn.Conv2d(last, 2 * latents, 3, padding=1)]
        up += [Residual(last, last), Attention(last), Residual(last, last)]
        for k in reversed(range(len(widths))):
            up.append(Residual(widths[min(k + 1, len(widths) - 1)], widths[k]))
            if k > 0:
                up.append(nn.Upsample(scale_factor=2))
                up.append(nn.Conv2d(widths[k], widths[k], 3, padding=1))
        up += [nn.GroupNorm(8, first), nn.SiLU(), nn.Conv2d(first, 3, 3, padding=1)]
        self.encoder, self.decoder = nn.Sequential(*down), nn.Sequential(*up)

    def loss(self, x: Any) -> Any:
        """The absolute error of a pixel, and the KL of a picture."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        log_variance = log_variance.clamp(-30, 20)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(
            (1, 2, 3)
        )
        error = (self.decoder(z) - x).abs().sum((1, 2, 3))
        return (error + 1e-6 * kl).mean() / x[0].numel()

    def reconstruct(self, x: Any) -> Any:
        """Decodes the mean."""
        return self.decoder(self.encoder(x).chunk(2, 1)[0])


class Pythae(nn.Module):
    """pythae's VAE, with its own networks, loss, and number of latents."""

    def __init__(self, latents: int = 64) -> None:
        super().__init__()
        from pythae.models import VAE, VAEConfig
        from pythae.models.nn.benchmarks.celeba import (
            Decoder_ResNet_AE_CELEBA,
            Encoder_ResNet_VAE_CELEBA,
        )

        config = VAEConfig(input_dim=(3, 64, 64), latent_dim=latents)
        networks = {
            "encoder": Encoder_ResNet_VAE_CELEBA(config),
            "decoder": Decoder_ResNet_AE_CELEBA(config),
        }
        self.vae = VAE(config, **networks)

    def loss(self, x: Any) -> Any:
        """That of its forward pass."""
        return self.vae({"data": x}).loss

    def reconstruct(self, x: Any) -> Any:
        """Decodes the mean."""
        return self.vae.decoder(self.vae.encoder(x).embedding).reconstruction


def train(model: Any, x: Any, minutes: float) -> int:
    """Trains for so much processor time; returns the number of steps."""
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    start, step = time.process_time(), 0
    while True:
        for rows in torch.randperm(len(x)).split(BATCH):
            spent = (time.process_time() - start) / (60 * minutes)
            if spent >= 1:
                return step
            step += 1
            fall = 0.5 * (1 + math.cos(math.pi * spent))
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * min(1, step / WARMUP) * fall
            batch = x[rows].float() / 255
            loss = model.loss(batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % 100 == 0:
                print(f"step {step}, loss {loss:.4g}", flush=True)


def main() -> None:
    """Trains, and writes the reconstructions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", choices=("pythae", "kl"))
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=12, help="of processor time")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    with np.load(arguments.data) as arrays:
        train_x, test_x = (
            torch.from_numpy(arrays[f"x_{part}"]).permute(0, 3, 1, 2).contiguous()
            for part in ("train", "test")
        )
    model = AutoencoderKL() if arguments.system == "kl" else Pythae()
    print(f"{sum(p.numel() for p in model.parameters())} weights", flush=True)
    steps = train(model, train_x, arguments.minutes)
    model.eval()
    with torch.no_grad():
        seen = torch.cat([model.reconstruct(x.float() / 255) for x in test_x.split(64)])
    print(f"{steps} steps")
    np.save(arguments.out, seen.clamp(0, 1).permute(0, 2, 3, 1).numpy())


if __name__ == "__main__":
    main()
