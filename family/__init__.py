"""The models that tutorials compare with the VAE, each with the same four methods.

    model = kvae.family.make("rbm").fit(x_train)
    model.sample(16), model.encode(x), model.reconstruct(x), model.log_likelihood(x)

Nothing else in kvae depends on this folder.
"""

from kvae.family.autoencoder import Autoencoder as Autoencoder
from kvae.family.autoencoder import Variation as Variation
from kvae.family.base import LogLikelihood as LogLikelihood
from kvae.family.base import Member as Member
from kvae.family.contractive import Contractive as Contractive
from kvae.family.denoising import Denoising as Denoising
from kvae.family.gan import GAN as GAN
from kvae.family.graph import Graph as Graph
from kvae.family.gsn import GSN as GSN
from kvae.family.ladder import LadderNetwork as LadderNetwork
from kvae.family.linear import FactorAnalysis as FactorAnalysis
from kvae.family.linear import ProbabilisticPCA as ProbabilisticPCA
from kvae.family.members import MEMBERS as MEMBERS
from kvae.family.members import make as make
from kvae.family.rbm import RBM as RBM
from kvae.family.sparse import KLSparse as KLSparse
from kvae.family.sparse import KSparse as KSparse
from kvae.family.sum_product import SumProductNetwork as SumProductNetwork
from kvae.family.vae import VariationalAutoencoder as VariationalAutoencoder
