"""The likelihood of a table: columns of different kinds."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.likelihoods.bernoulli import Bernoulli
from kvae.likelihoods.categorical import Categorical
from kvae.likelihoods.continuous_bernoulli import ContinuousBernoulli
from kvae.likelihoods.negative_binomial import NegativeBinomial
from kvae.likelihoods.normal import Normal
from kvae.likelihoods.student_t import StudentT
from kvae.networks import ColumnFeatures, Standardize

tfd = tfp.distributions
tfb = tfp.bijectors

_KINDS: dict[str, tuple[type[Likelihood], dict[str, Any]]] = {
    "real": (Normal, {"scale": "per_dimension"}),
    "heavy_tailed": (StudentT, {"df": "per_dimension", "scale": "per_dimension"}),
    "fraction": (ContinuousBernoulli, {}),
    "count": (NegativeBinomial, {"total_count": "per_dimension"}),
    "binary": (Bernoulli, {"gray": False}),
    "categorical": (Categorical, {}),
}


@keras.saving.register_keras_serializable(package="kvae")
class Columns(Likelihood):
    """The columns of a table, independent given z, each with a likelihood of its kind.

        log p(x|z) = sum_c log p_c(x[c] | z)

    x is one float matrix (N, C); categorical columns hold level numbers 0, 1, ... . Each
    column is a dict with "name" and "kind", and further arguments of its likelihood:

        real          Normal, one learned scale per column; for example "scale": "decoder"
        heavy_tailed  StudentT, one learned scale and df per column
        fraction      ContinuousBernoulli, entries in [0, 1]
        count         NegativeBinomial, one learned total_count per column
        binary        Bernoulli, only entries 0 and 1
        categorical   Categorical; "levels" must be given

    Columns of like kind and arguments share one head. Their parameters are named after
    the kind, "real_loc" of shape (B, number of real columns); a second group of a kind
    is "real2_loc". `groups` lists the columns of each group. Missing entries are masked
    one by one and may be NaN. `adapt`, which `VAE.for_data` calls, measures the units
    of real columns. If you don't call it, scale them to unit variance, because networks
    and scales start there.

    Args:
        columns: one dict per column, in the order of the columns of x.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if a column has no name or kind, an unknown kind, arguments that its
            likelihood does not take, or a name that is used twice.
    """

    support = "columns of their kinds"
    drawn = True

    def __init__(self, columns: list[dict[str, Any]], **kwargs: Any) -> None:
        _check_columns(columns)
        super().__init__((len(columns),), **kwargs)
        self.columns = columns
        self._labels: list[str] = []
        self._indices: list[list[int]] = []
        self._parts: list[Likelihood] = []
        for spec, indices in _grouped(columns):
            self._labels.append(_label(spec["kind"], self._labels))
            self._indices.append(indices)
            self._parts.append(self._make(spec, indices))
        flat = [index for indices in self._indices for index in indices]
        self._order = np.argsort(flat)  # from grouped columns back to those of x
        self.continuous = any(part.continuous for part in self._parts)
        fillers = [p.filler for p in self._parts for _ in range(p.data_shape[0])]
        self.filler = np.array(fillers)[self._order]

    @property
    def groups(self) -> dict[str, list[str]]:
        """The names of the columns in each group of parameters."""
        return {
            label: [self.columns[i]["name"] for i in indices]
            for label, indices in zip(self._labels, self._indices, strict=True)
        }

    def adapt(self, x: Any, seed: int = 0) -> None:
        """Adapts every group to the training data of its columns."""
        for part, indices in zip(self._parts, self._indices, strict=True):
            part.adapt(x[:, indices], seed)

    @property
    def neutral(self) -> Tensor:
        """What stands for a missing entry in each column, (C,); -1 for a level."""
        return self._in_order(
            tf.broadcast_to(
                tf.cast(-1.0 if _has_levels(part) else part.neutral, self.maths_dtype),
                part.data_shape,
            )
            for part in self._parts
        )

    def preprocessing(self) -> Standardize | ColumnFeatures:
        """Makes a layer that standardizes numbers, counts by their logarithm.

        Levels become one-hot vectors.
        """
        counts = [column["kind"] == "count" for column in self.columns]
        log1p = counts if any(counts) else False
        levels = [column.get("levels", 0) for column in self.columns]
        return ColumnFeatures(levels, log1p) if any(levels) else Standardize(log1p)

    def call(self, features: Tensor) -> Params:
        """Maps features to the parameters of every group, each (B, columns in it, ...)."""
        return {
            f"{label}_{name}": value
            for label, part in zip(self._labels, self._parts, strict=True)
            for name, value in part(features).items()
        }

    def calibrate(
        self,
        params: Params,
        x: Tensor,
        mask: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> Params:
        """Lets every group set the parameters that it computes from the batch itself."""
        changed = dict(params)
        for label, part, indices, own in self._groups_of(params):
            seen = None if mask is None else tf.gather(mask, indices, axis=-1)
            x_own = tf.gather(x, indices, axis=-1)
            for name, value in part.calibrate(own, x_own, seen, sample_weight).items():
                changed[f"{label}_{name}"] = value
        return changed

    def distribution(self, params: Params) -> Any:
        """Makes the joint distribution: groups side by side, in the order of x."""
        groups = [part.distribution(own) for _, part, _, own in self._groups_of(params)]
        permute = tfb.Permute(self._order.astype("int32"))
        return tfd.TransformedDistribution(tfd.Blockwise(groups), permute)

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-density of each column, nats, (..., C)."""
        return self._in_order(
            part.entry_log_prob(own, tf.gather(x, indices, axis=-1))
            for _, part, indices, own in self._groups_of(params)
        )

    def mean(self, params: Params) -> Tensor:
        """The mean of each column, (B, C); of a categorical one, the mean level number."""
        return self._in_order(p.mean(own) for _, p, _, own in self._groups_of(params))

    def mode(self, params: Params) -> Tensor:
        """The most probable entry of each column, (B, C)."""
        return self._in_order(p.mode(own) for _, p, _, own in self._groups_of(params))

    def supports(self, x: Tensor) -> Tensor:
        """True where an entry is in the support of its column."""
        return self._in_order(
            part.supports(tf.gather(x, indices, axis=-1))
            for part, indices in zip(self._parts, self._indices, strict=True)
        )

    def check_support(self, x: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Raises unless every observed entry is in its column's support; names it."""
        for label, part, indices in zip(
            self._labels, self._parts, self._indices, strict=True
        ):
            try:  # all at once, because many columns take long one by one
                part.check_support(
                    x[:, indices], None if mask is None else mask[:, indices]
                )
            except ValueError:
                pass
            else:
                continue
            for place, index in enumerate(indices):
                column = np.zeros((len(x), len(indices))) + part.filler
                column[:, place] = x[:, index]
                seen = None
                if mask is not None:
                    seen = np.ones(column.shape, bool)
                    seen[:, place] = mask[:, index].astype(bool)
                try:
                    part.check_support(column, seen)
                except ValueError as error:
                    name, kind = self.columns[index]["name"], label.rstrip("0123456789")
                    raise ValueError(f"column {name!r} ({kind}): {error}") from None

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = {**super().get_config(), "columns": self.columns}
        del config["data_shape"]
        return config

    def _make(self, spec: dict[str, Any], indices: list[int]) -> Likelihood:
        kind, defaults = _KINDS[spec["kind"]]
        given = {key: value for key, value in spec.items() if key != "kind"}
        try:
            return kind(
                (len(indices),), **{**defaults, **given}, dtype=self.dtype_policy
            )
        except (TypeError, ValueError) as error:
            names = [self.columns[i]["name"] for i in indices]
            raise ValueError(f"columns {names} ({spec['kind']}): {error}") from None

    def _groups_of(self, params: Params) -> Any:
        for label, part, indices in zip(
            self._labels, self._parts, self._indices, strict=True
        ):
            start = f"{label}_"
            own = {
                name.removeprefix(start): value
                for name, value in params.items()
                if name.startswith(start)
            }
            yield label, part, indices, own

    def _in_order(self, groups: Any) -> Tensor:
        return tf.gather(tf.concat(list(groups), axis=-1), self._order, axis=-1)


def _has_levels(part: Likelihood) -> bool:
    return isinstance(part, Categorical)


def _label(kind: str, taken: list[str]) -> str:
    number = 1 + sum(label.rstrip("0123456789") == kind for label in taken)
    return kind if number == 1 else f"{kind}{number}"


def _plain(value: Any) -> Any:
    """Turns a NumPy number into a Python number."""
    return value.item() if isinstance(value, np.generic) else repr(value)


def _grouped(columns: list[dict[str, Any]]) -> list[tuple[dict[str, Any], list[int]]]:
    """Groups columns that differ only in their names, in order of appearance."""
    groups: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for index, column in enumerate(columns):
        spec = {key: value for key, value in column.items() if key != "name"}
        key = json.dumps(spec, sort_keys=True, default=_plain)
        groups.setdefault(key, (spec, []))[1].append(index)
    return list(groups.values())


def _check_columns(columns: Any) -> None:
    if not isinstance(columns, (list, tuple)) or not columns:
        raise ValueError(
            "Columns expects a list with one dict per column, such as "
            f'[{{"name": "age", "kind": "real"}}]; received {columns!r}.'
        )
    for column in columns:
        if not isinstance(column, dict) or not isinstance(column.get("name"), str):
            raise ValueError(
                'Columns expects each column to be a dict with a "name" and a "kind"; '
                f"received {column!r}."
            )
        if column.get("kind") not in _KINDS:
            raise ValueError(
                f"column {column['name']!r} must be of a kind in {sorted(_KINDS)}; "
                f"received kind={column.get('kind')!r}."
            )
    names = [column["name"] for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"Columns expects every name once; received {twice} more than once."
        )
