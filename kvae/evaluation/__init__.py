"""Honest numbers about a trained model: what was estimated, how, and how precisely."""

from kvae.evaluation.annealed_importance import AISResult as AISResult
from kvae.evaluation.annealed_importance import (
    annealed_importance_sampling as annealed_importance_sampling,
)
from kvae.evaluation.bidirectional import BidirectionalResult as BidirectionalResult
from kvae.evaluation.bidirectional import (
    bidirectional_monte_carlo as bidirectional_monte_carlo,
)
from kvae.evaluation.compare import Comparison as Comparison
from kvae.evaluation.compare import compare as compare
from kvae.evaluation.compare_tables import TableComparison as TableComparison
from kvae.evaluation.compare_tables import compare_tables as compare_tables
from kvae.evaluation.conditional_likelihood import (
    ConditionalLikelihoodResult as ConditionalLikelihoodResult,
)
from kvae.evaluation.conditional_likelihood import (
    conditional_log_likelihood as conditional_log_likelihood,
)
from kvae.evaluation.dci import DCIResult as DCIResult
from kvae.evaluation.dci import dci as dci
from kvae.evaluation.disentanglement import (
    DisentanglementResult as DisentanglementResult,
)
from kvae.evaluation.disentanglement import disentanglement as disentanglement
from kvae.evaluation.elbo import ELBOResult as ELBOResult
from kvae.evaluation.elbo import elbo as elbo
from kvae.evaluation.evaluate import evaluate as evaluate
from kvae.evaluation.evaluate import suitable as suitable
from kvae.evaluation.factor_shapes import FactorShapes as FactorShapes
from kvae.evaluation.factor_shapes import factor_shapes as factor_shapes
from kvae.evaluation.factor_vae_score import factor_vae_score as factor_vae_score
from kvae.evaluation.features import extract_features as extract_features
from kvae.evaluation.features import feature_classifier as feature_classifier
from kvae.evaluation.frechet import frechet_distance as frechet_distance
from kvae.evaluation.impute import ImputationResult as ImputationResult
from kvae.evaluation.impute import impute as impute
from kvae.evaluation.inference_gap import InferenceGapResult as InferenceGapResult
from kvae.evaluation.inference_gap import inference_gap as inference_gap
from kvae.evaluation.information import InformationResult as InformationResult
from kvae.evaluation.information import information as information
from kvae.evaluation.kernel_distance import kernel_distance as kernel_distance
from kvae.evaluation.latent_maps import LatentMap as LatentMap
from kvae.evaluation.latent_maps import latent_grid as latent_grid
from kvae.evaluation.latent_maps import latent_map as latent_map
from kvae.evaluation.latent_maps import traversals as traversals
from kvae.evaluation.latents import LatentUsage as LatentUsage
from kvae.evaluation.latents import latent_usage as latent_usage
from kvae.evaluation.level_reconstructions import (
    level_reconstructions as level_reconstructions,
)
from kvae.evaluation.log_likelihood import LogLikelihoodResult as LogLikelihoodResult
from kvae.evaluation.log_likelihood import log_likelihood as log_likelihood
from kvae.evaluation.mig import mutual_information_gap as mutual_information_gap
from kvae.evaluation.mmd import maximum_mean_discrepancy as maximum_mean_discrepancy
from kvae.evaluation.neighbors import NeighborScores as NeighborScores
from kvae.evaluation.neighbors import neighbor_scores as neighbor_scores
from kvae.evaluation.result import Estimate as Estimate
from kvae.evaluation.result import Result as Result
from kvae.evaluation.sample_quality import SampleQualityResult as SampleQualityResult
from kvae.evaluation.sample_quality import sample_quality as sample_quality
from kvae.evaluation.sap import (
    separated_attribute_predictability as separated_attribute_predictability,
)
from kvae.evaluation.table_quality import TableQuality as TableQuality
from kvae.evaluation.table_quality import table_quality as table_quality
