"""Honest numbers about a trained model: what was estimated, how, and how sure it is."""

from kvae.evaluation.annealed_importance import AISResult as AISResult
from kvae.evaluation.annealed_importance import (
    annealed_importance_sampling as annealed_importance_sampling,
)
from kvae.evaluation.bidirectional import BidirectionalResult as BidirectionalResult
from kvae.evaluation.bidirectional import (
    bidirectional_monte_carlo as bidirectional_monte_carlo,
)
from kvae.evaluation.elbo import ELBOResult as ELBOResult
from kvae.evaluation.elbo import elbo as elbo
from kvae.evaluation.inference_gap import InferenceGapResult as InferenceGapResult
from kvae.evaluation.inference_gap import inference_gap as inference_gap
from kvae.evaluation.information import InformationResult as InformationResult
from kvae.evaluation.information import information as information
from kvae.evaluation.latents import LatentUsage as LatentUsage
from kvae.evaluation.latents import latent_usage as latent_usage
from kvae.evaluation.log_likelihood import LogLikelihoodResult as LogLikelihoodResult
from kvae.evaluation.log_likelihood import log_likelihood as log_likelihood
from kvae.evaluation.mmd import (
    maximum_mean_discrepancy as maximum_mean_discrepancy,
)
from kvae.evaluation.result import Estimate as Estimate
from kvae.evaluation.result import Result as Result
