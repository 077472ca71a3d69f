"""How samples of the model compare with data."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kvae.core.checks import check_count, check_seed
from kvae.evaluation.examples import prepare
from kvae.evaluation.features import extract_features, feature_classifier
from kvae.evaluation.frechet import frechet_distance
from kvae.evaluation.kernel_distance import kernel_distance
from kvae.evaluation.neighbors import neighbor_scores
from kvae.evaluation.result import Estimate, Result


@dataclasses.dataclass(frozen=True)
class SampleQualityResult(Result):
    """How samples compare with data, in the features of a network.

    Attributes:
        frechet: Frechet distance, squared; biased upward for small samples.
        frechet_of_half: the same between a random half of the data and as many samples;
            compare it with `frechet_of_data`.
        frechet_of_data: the same between that half of the data and the other half.
        kernel: kernel distance, unbiased, with its standard error over blocks.
        precision: share of samples that lie within the data.
        recall: share of data that lie within the samples.
        density: how deep in the data the samples lie.
        coverage: share of data with a sample in their neighborhood.
        num_real: examples.
        num_fake: samples.
        features: what the features are.
        seed: of the samples.
        warning: in words, or "".
    """

    frechet: float
    frechet_of_half: float
    frechet_of_data: float
    kernel: Estimate
    precision: float
    recall: float
    density: float
    coverage: float
    num_real: int
    num_fake: int
    features: str
    seed: int
    warning: str


def sample_quality(
    vae: Any,
    x: Any,
    labels: Any = None,
    features: Any = None,
    *,
    num_samples: int | None = None,
    num_neighbors: int = 5,
    seed: int = 0,
) -> SampleQualityResult:
    """Compares samples of the model with data.

    The samples are the means of p(x|z), as `vae.sample` shows them. Distances in pixels
    say little, so features are needed: those of a network that you pass, or of a small
    classifier trained here on the labels. No weights are downloaded, so don't compare
    these numbers with published ones in Inception features.

    Args:
        vae: a `kvae.VAE` without condition.
        x: (N, *data_shape) test examples, at least 40.
        labels: (N,) integers, to train the default features with.
        features: any Keras model from (B, *data_shape) to features; "pixels" compares
            the examples themselves; None trains `feature_classifier(x, labels)`.
        num_samples: how many samples; N if None.
        num_neighbors: k of precision, recall, density and coverage.
        seed: of samples and classifier.

    Returns:
        result: scores, with what the features are.

    Raises:
        ValueError: if the data do not fit, or there are neither features nor labels.
    """
    inputs = prepare(vae, x)
    if inputs.condition is not None or inputs.mask is not None:
        raise ValueError(
            "sample_quality compares unconditional samples with complete data; it "
            "takes x alone. For a conditional model, score vae.sample(..., "
            "condition=...) with frechet_distance, kernel_distance and "
            "neighbor_scores."
        )
    data = np.asarray(inputs.x, "float32")
    if len(data) < 40:
        raise ValueError(
            f"sample_quality needs at least 40 examples; received {len(data)}."
        )
    if features is None:
        if labels is None:
            raise ValueError(
                "sample_quality needs a feature space: pass labels to train a small "
                'classifier, features= with a Keras model, or features="pixels".'
            )
        features = feature_classifier(data, labels, seed=check_seed(seed))
        said = f"last hidden layer of a small network trained here ({features.name})"
    elif isinstance(features, str):
        if features != "pixels":
            raise ValueError(
                f'features must be a Keras model or "pixels"; received {features!r}.'
            )
        features, said = None, "the pixels themselves"
    else:
        said = f"the caller's network {getattr(features, 'name', 'unnamed')!r}"
    num_samples = len(data) if num_samples is None else num_samples
    fake = vae.sample(check_count("num_samples", num_samples, 40), seed=seed)
    real_features = extract_features(features, data)
    fake_features = extract_features(features, fake)
    shuffled = real_features[np.random.default_rng(seed).permutation(len(data))]
    half = min(len(data) // 2, len(fake))  # the bias depends on the number of examples
    near = neighbor_scores(real_features, fake_features, num_neighbors)
    return SampleQualityResult(
        frechet=frechet_distance(real_features, fake_features),
        frechet_of_half=frechet_distance(shuffled[:half], fake_features[:half]),
        frechet_of_data=frechet_distance(shuffled[:half], shuffled[half : 2 * half]),
        kernel=kernel_distance(real_features, fake_features, seed=seed),
        precision=near.precision,
        recall=near.recall,
        density=near.density,
        coverage=near.coverage,
        num_real=len(data),
        num_fake=len(fake),
        features=said,
        seed=int(seed),
        warning=_warning(min(len(data), len(fake)), real_features.shape[1]),
    )


def _warning(num: int, width: int) -> str:
    if num >= 10 * width:
        return ""
    return (
        f"{num} examples or samples are few for {width} features: the Frechet distance is "
        "biased upward. Compare it only with values from as many examples, or read "
        "the kernel distance."
    )
