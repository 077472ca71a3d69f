"""Pure functions of tensors, in nats, without state and without means over examples."""

from kvae.maths.choose_component import choose_component as choose_component
from kvae.maths.continuous_bernoulli import (
    continuous_bernoulli_log_prob as continuous_bernoulli_log_prob,
)
from kvae.maths.continuous_bernoulli import (
    continuous_bernoulli_mean as continuous_bernoulli_mean,
)
from kvae.maths.counts import negative_binomial_log_prob as negative_binomial_log_prob
from kvae.maths.counts import poisson_log_prob as poisson_log_prob
from kvae.maths.discretized_logistic import (
    discretized_logistic_log_prob as discretized_logistic_log_prob,
)
from kvae.maths.discretized_logistic import (
    discretized_logistic_mean as discretized_logistic_mean,
)
from kvae.maths.discretized_logistic import (
    discretized_logistic_mode as discretized_logistic_mode,
)
from kvae.maths.flow_distribution import flow_distribution as flow_distribution
from kvae.maths.ms_ssim import ms_ssim as ms_ssim
from kvae.maths.normal_cdf import normal_cdf as normal_cdf
from kvae.maths.normals_at_points import normals_at_points as normals_at_points
from kvae.maths.precision import maths_dtype as maths_dtype
from kvae.maths.stable import soft_lower_bound as soft_lower_bound
from kvae.maths.stable import softplus as softplus
