"""Objectives, which training minimizes.

To add one, subclass Objective, list it here, and add a specimen.
"""

from kvae.objectives.adversarial import Adversarial as Adversarial
from kvae.objectives.base import Objective as Objective
from kvae.objectives.base import batch_mean as batch_mean
from kvae.objectives.base import global_count as global_count
from kvae.objectives.beta_tc import BetaTC as BetaTC
from kvae.objectives.capacity import Capacity as Capacity
from kvae.objectives.completion import Completion as Completion
from kvae.objectives.completion import is_completing as is_completing
from kvae.objectives.elbo import ELBO as ELBO
from kvae.objectives.factor_vae import FactorVAE as FactorVAE
from kvae.objectives.free_bits import FreeBits as FreeBits
from kvae.objectives.iwae import IWAE as IWAE
from kvae.objectives.level_balance import LevelBalance as LevelBalance
from kvae.objectives.masked import Masked as Masked
from kvae.objectives.mmd import MMD as MMD
from kvae.objectives.perceptual import Perceptual as Perceptual
from kvae.objectives.rae import RAE as RAE
from kvae.objectives.wrapper import Wrapper as Wrapper
