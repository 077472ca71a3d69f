"""The model: one class, and what it is built from."""

from kvae.model.vae import VAE as VAE
