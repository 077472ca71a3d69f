"""The precision in which densities are computed, whatever the networks run in."""

from __future__ import annotations


def maths_dtype(compute_dtype: str) -> str:
    """Names the dtype of every density and divergence: never less than float32.

    Half precision holds 3 digits (float16) or 2 (bfloat16); a sum over 784 pixels needs
    more, and TFP refuses to mix dtypes. So networks may compute in half precision, but
    their outputs are cast to this dtype before they become parameters.

    Args:
        compute_dtype: the compute dtype of a Keras dtype policy.

    Returns:
        dtype: `"float64"` under a float64 policy, else `"float32"`.
    """
    return "float64" if compute_dtype == "float64" else "float32"
