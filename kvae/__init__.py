"""kvae: variational autoencoders in Keras 3, from the paper to the phone."""

from kvae import corruptions as corruptions
from kvae import likelihoods as likelihoods
from kvae import masks as masks
from kvae import maths as maths
from kvae import networks as networks
from kvae import objectives as objectives
from kvae import posteriors as posteriors
from kvae import presets as presets
from kvae import priors as priors
from kvae import schedules as schedules
from kvae.vae import VAE as VAE

__version__ = "0.1.0"
