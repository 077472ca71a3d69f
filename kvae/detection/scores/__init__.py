"""How unusual an example is; every score is higher for what is more unusual."""

from kvae.detection.scores.background_ratio import BackgroundRatio as BackgroundRatio
from kvae.detection.scores.base import Score as Score
from kvae.detection.scores.choose import SCORES as SCORES
from kvae.detection.scores.choose import choose_score as choose_score
from kvae.detection.scores.choose import make_score as make_score
from kvae.detection.scores.combined import Combined as Combined
from kvae.detection.scores.complexity_ratio import ComplexityRatio as ComplexityRatio
from kvae.detection.scores.distortion import Distortion as Distortion
from kvae.detection.scores.elbo import NegativeELBO as NegativeELBO
from kvae.detection.scores.importance_bound import (
    NegativeImportanceBound as NegativeImportanceBound,
)
from kvae.detection.scores.latent_distance import LatentDistance as LatentDistance
from kvae.detection.scores.likelihood_regret import LikelihoodRegret as LikelihoodRegret
from kvae.detection.scores.local_outlier_factor import (
    LocalOutlierFactor as LocalOutlierFactor,
)
from kvae.detection.scores.neighbor_distance import NeighborDistance as NeighborDistance
from kvae.detection.scores.reconstruction_error import (
    ReconstructionError as ReconstructionError,
)
from kvae.detection.scores.reconstruction_probability import (
    ReconstructionProbability as ReconstructionProbability,
)
