"""Likelihoods p(x|z). To add one: subclass Likelihood, list it here, add a specimen."""

from kvae.likelihoods.base import Likelihood as Likelihood
from kvae.likelihoods.bernoulli import Bernoulli as Bernoulli
from kvae.likelihoods.binomial import Binomial as Binomial
from kvae.likelihoods.categorical import Categorical as Categorical
from kvae.likelihoods.columns import Columns as Columns
from kvae.likelihoods.continuous_bernoulli import (
    ContinuousBernoulli as ContinuousBernoulli,
)
from kvae.likelihoods.discretized_logistic import (
    DiscretizedLogistic as DiscretizedLogistic,
)
from kvae.likelihoods.discretized_logistic_mixture import (
    DiscretizedLogisticMixture as DiscretizedLogisticMixture,
)
from kvae.likelihoods.laplace import Laplace as Laplace
from kvae.likelihoods.negative_binomial import NegativeBinomial as NegativeBinomial
from kvae.likelihoods.normal import Normal as Normal
from kvae.likelihoods.pixel_cnn import PixelCNN as PixelCNN
from kvae.likelihoods.poisson import Poisson as Poisson
from kvae.likelihoods.student_t import StudentT as StudentT
from kvae.likelihoods.zero_inflated_negative_binomial import (
    ZeroInflatedNegativeBinomial as ZeroInflatedNegativeBinomial,
)
