"""Models by the names of their papers.

Call a preset as `preset(x, latent_dim=16, ..., **parts)`. It returns a `kvae.VAE` that
`VAE.for_data` built. `parts` are further arguments of `for_data`, such as an encoder.
"""

from kvae.presets.aggregate import beta_tc_vae as beta_tc_vae
from kvae.presets.aggregate import factor_vae as factor_vae
from kvae.presets.aggregate import info_vae as info_vae
from kvae.presets.aggregate import wae_mmd as wae_mmd
from kvae.presets.bounds import ciwae as ciwae
from kvae.presets.bounds import dreg_iwae as dreg_iwae
from kvae.presets.bounds import iwae as iwae
from kvae.presets.bounds import miwae as miwae
from kvae.presets.deep import deep_vae as deep_vae
from kvae.presets.deep import ladder_vae as ladder_vae
from kvae.presets.densities import full_covariance_vae as full_covariance_vae
from kvae.presets.densities import hyperspherical_vae as hyperspherical_vae
from kvae.presets.densities import iaf_vae as iaf_vae
from kvae.presets.densities import mixture_vae as mixture_vae
from kvae.presets.densities import real_nvp_vae as real_nvp_vae
from kvae.presets.densities import sigma_vae as sigma_vae
from kvae.presets.densities import sylvester_vae as sylvester_vae
from kvae.presets.densities import vamp_vae as vamp_vae
from kvae.presets.incomplete import completing_vae as completing_vae
from kvae.presets.incomplete import miwae_imputer as miwae_imputer
from kvae.presets.rate import annealed_vae as annealed_vae
from kvae.presets.rate import beta_vae as beta_vae
from kvae.presets.rate import capacity_vae as capacity_vae
from kvae.presets.rate import cyclical_vae as cyclical_vae
from kvae.presets.rate import free_bits_vae as free_bits_vae
from kvae.presets.reconstruction import dfc_vae as dfc_vae
from kvae.presets.reconstruction import rae as rae
