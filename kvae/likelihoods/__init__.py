"""Likelihoods p(x|z). To add one: subclass Likelihood, list it here, add a specimen."""

from kvae.likelihoods.base import Likelihood as Likelihood
from kvae.likelihoods.bernoulli import Bernoulli as Bernoulli
from kvae.likelihoods.normal import Normal as Normal
