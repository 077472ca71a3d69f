"""Pure functions on tensors, in nats. They keep no state and never average over examples."""

from kvae.maths.precision import maths_dtype as maths_dtype
from kvae.maths.stable import soft_lower_bound as soft_lower_bound
from kvae.maths.stable import softplus as softplus
from kvae.maths.threefry import counter_normal as counter_normal
from kvae.maths.threefry import threefry2x32 as threefry2x32
