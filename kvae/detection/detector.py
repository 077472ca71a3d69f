"""From a trained model to decisions: is this example unusual, and where?"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from kvae.core.checks import check_seed, check_vae
from kvae.core.inputs import Inputs
from kvae.core.say import say
from kvae.detection.conformal import (
    Threshold,
    best_threshold,
    check_alpha,
    conformal_p_values,
    threshold,
)
from kvae.detection.detected import Detected
from kvae.detection.folder import read_detector, write_detector
from kvae.detection.groups import group_p_values
from kvae.detection.rows import count_shared, take, without_unseen
from kvae.detection.scores import Score, choose_score, make_score
from kvae.detection.where import Where
from kvae.evaluation.examples import prepare

_LOG = logging.getLogger("kvae")
_MOST_FITTED = 5000  # rows that a score is fitted to; more don't sharpen it
_FEW = 19  # calibration examples, enough for alpha = 0.05


class Detector:
    """Finds unusual examples at a false-alarm rate that you choose.

        detector = kvae.detection.Detector(vae).calibrate(x_normal)
        found = detector.detect(x_new, alpha=0.01)

    A score says how unusual an example is, and normal examples that the model was not
    trained on say how unusual a normal example can be: their ranks turn the score into a
    p-value. At most a share alpha of normal examples raises an alarm, whatever the score
    and the model, if they are drawn like the calibration examples. A good score finds
    more anomalies; a bad one never raises more false alarms.

    Args:
        vae: a trained `kvae.VAE`.
        score: "auto" takes one that suits the data and says which; else the name of one
            (`kvae.detection.scores.SCORES`), or a `Score`.
        seed: of the latents. All examples share their noise, so that an example has the
            same score in any array.
        attribution: how `attribute` finds where an example is unusual: "posterior" takes
            latents from q(z|x); "robust" fits a latent to the usual entries of each
            example, which points to faults in pictures more often and takes longer.

    Raises:
        TypeError: if `vae` is not a VAE.
        ValueError: if there is no such score or attribution, or the latents are on a
            sphere and the attribution is robust.
    """

    def __init__(
        self,
        vae: Any,
        score: str | Score = "auto",
        seed: int = 0,
        attribution: str = "posterior",
    ) -> None:
        check_vae(vae)
        self.vae = vae
        self.seed = check_seed(seed)
        self._where = Where(vae, attribution, self.seed)
        self.attribution = attribution
        self._reason = ""
        if score == "auto":
            self.score_function, self._reason = choose_score(vae)
        else:
            self.score_function = make_score(score)
        self._calibration = np.empty(0)

    # === Calibration ===

    @property
    def num_calibration(self) -> int:
        """How many examples it was calibrated with; 0 before `calibrate`."""
        return len(self._calibration)

    @property
    def calibration_scores(self) -> np.ndarray:
        """Scores of the calibration examples, ascending, (n,)."""
        return self._calibration

    @property
    def usual_surprise(self) -> np.ndarray:
        """Mean nats of each entry over calibration examples, (*data_shape)."""
        self._check_calibrated()
        return self._where.usual["expected"]

    def calibrate(self, x_normal: Any, x_train: Any = None) -> Detector:
        """Learns how unusual a normal example can be.

        Scores that compare with normal data are fitted to the training data if you pass
        them, and otherwise to half of x_normal (at most 5000 rows); the rest
        calibrates. A level alpha needs ceil(1 / alpha) - 1 examples that calibrate.

        Args:
            x_normal: (N, *data_shape) normal examples that the model was not trained on,
                or a dict with "x" and optionally "condition" and "mask".
            x_train: what the model was trained on, in the same form. Rows of x_normal
                that are also in it are counted in a warning.

        Returns:
            detector: itself.

        Raises:
            ValueError: if the data don't fit the model or hold NaN, or there are too few.
        """
        normal = prepare(self.vae, x_normal)
        train = None if x_train is None else self.vae.complete_inputs(x_train)
        least = _FEW if train is not None or not self.score_function.needs_fit else 40
        if len(normal.x) < least:
            halves = (
                "" if least == _FEW else ", besides as many that the score is fitted to"
            )
            raise ValueError(
                f"calibrate needs at least {least} normal examples, for alpha=0.05; "
                f"received {len(normal.x)}. alpha=0.01 needs 99{halves}."
            )
        if train is not None:
            self._warn_of_shared(normal, train)
        random = np.random.default_rng(self.seed)
        order, fitted = random.permutation(len(normal.x)), None
        if self.score_function.needs_fit and train is None:
            cut = min(len(order) // 2, _MOST_FITTED)
            fitted, order = take(normal, order[:cut]), order[cut:]
        elif self.score_function.needs_fit and train is not None:
            rows = random.permutation(len(train.x))[:_MOST_FITTED]
            fitted = take(train, np.sort(rows))
        if self.score_function.needs_fit:
            assert fitted is not None
            self.score_function.fit(self.vae, fitted.to_keras(), self.seed)
        kept = take(normal, np.sort(order))
        self._calibration = np.sort(self.score(kept.to_keras()))
        self._where.fit(kept)
        say(self._told(0 if fitted is None else len(fitted.x), train is not None))
        return self

    def _warn_of_shared(self, normal: Inputs, train: Inputs) -> None:
        shared = count_shared(normal.x, train.x)
        if shared > 0.01 * len(normal.x):  # a few may be equal by chance
            _LOG.warning(
                "%d of %d calibration examples are among the training data. The model "
                "knows them, so they look more usual than new examples do, and there "
                "will be more false alarms than alpha. Calibrate with examples that "
                "were held out.",
                shared,
                len(normal.x),
            )

    def _told(self, fitted: int, on_train: bool) -> str:
        count = self.num_calibration
        where = "training" if on_train else "normal"
        learned = (
            f"fitted to {fitted} {where} examples, "
            if self.score_function.needs_fit
            else ""
        )
        why = f" ({self._reason})" if self._reason else ""
        return (
            f"Detector: score {self.score_function.label}{why}, {learned}calibrated with "
            f"{count} normal examples, so alpha can be {1 / (count + 1):.2g} or more"
        )

    # === Detection ===

    def score(self, x: Any, batch_size: int = 128) -> np.ndarray:
        """Scores examples.

        Args:
            x: as for `calibrate`.
            batch_size: examples per pass; does not change the result.

        Returns:
            scores: (N,), higher = more unusual, in the unit of the score. An example to
                which the model gives probability 0 has infinity, and so has a row of a
                table with a level that its data didn't have.

        Raises:
            ValueError: if x doesn't fit the model or holds NaN.
        """
        x, unseen = without_unseen(self.vae.schema, x)
        scores = self.score_function(self.vae, x, self.seed, batch_size)
        impossible = np.isnan(scores)
        if unseen is not None:
            impossible |= unseen.any(axis=1)
        return np.where(impossible, np.inf, scores)

    def p_values(self, scores: Any) -> np.ndarray:
        """Turns scores into conformal p-values, (N,)."""
        self._check_calibrated()
        return conformal_p_values(scores, self._calibration)

    def detect(
        self,
        x: Any,
        alpha: float = 0.01,
        attribution: bool = False,
        batch_size: int = 128,
    ) -> Detected:
        """Finds the unusual examples of a batch.

        Args:
            x: as for `calibrate`.
            alpha: the share of normal examples that may raise a false alarm.
            attribution: also compute where each example is unusual.
            batch_size: examples per pass; does not change the result.

        Returns:
            found: scores, p-values, and decisions as arrays.

        Raises:
            ValueError: if x doesn't fit the model or holds NaN, the detector isn't
                calibrated, or alpha needs more calibration examples.
        """
        self._check_calibrated()
        alpha = check_alpha(alpha, self.num_calibration)
        scores = self.score(x, batch_size)
        p_value = self.p_values(scores)
        is_anomaly = p_value <= alpha
        return Detected(
            score_name=self.score_function.label,
            unit=self.score_function.unit,
            alpha=alpha,
            threshold=threshold(self._calibration, alpha),
            num_examples=len(scores),
            num_anomalies=int(is_anomaly.sum()),
            num_calibration=self.num_calibration,
            guarantee=f"at most {100 * alpha:g} % of normal examples, averaged over "
            "calibration sets",
            score=scores,
            p_value=p_value,
            is_anomaly=is_anomaly,
            attribution=self.attribute(x, batch_size) if attribution else None,
        )

    def attribute(self, x: Any, batch_size: int = 128) -> np.ndarray:
        """Computes where each example is unusual.

            attribution_i = -log p(x_i | rest) - its mean over calibration examples

        If the attribution is robust, -log p(x_i|z) at one fitted z takes the place of
        the first term.

        Args:
            x: as for `calibrate`.
            batch_size: examples per pass; does not change the result.

        Returns:
            attribution: (N, *data_shape) nats by which an entry is less probable, given
                the rest of the example, than that entry is on average; 0 where it is
                missing. It doesn't depend on the unit of the entry.
        """
        x, unseen = without_unseen(self.vae.schema, x)
        self._check_calibrated()
        nats = self._where.above_usual(x, batch_size)
        return nats if unseen is None else np.where(unseen, np.inf, nats)

    def detect_groups(
        self, x: Any, groups: Any, alpha: float = 0.01, two_sided: bool = False
    ) -> tuple[np.ndarray, Detected]:
        """Decides for groups of examples, such as all windows of one machine.

        The statistic of a group is the mean of its scores; its p-value is that of a
        permutation test against the calibration scores. Many slightly unusual examples
        make an unusual group, even if none of them is an anomaly.

        Args:
            x: as for `calibrate`.
            groups: (N,) the group of each example.
            alpha: the share of normal groups that may raise a false alarm.
            two_sided: groups whose mean is too low are unusual too, which is the test
                for typicality of arXiv:1906.02994 if the score is "elbo".

        Returns:
            names: (G,) the groups, sorted.
            found: (G,) scores, p-values, and decisions.

        Raises:
            ValueError: as `detect`, or if groups don't fit x.
        """
        self._check_calibrated()
        alpha = check_alpha(alpha)
        scores, groups = self.score(x), np.asarray(groups)
        if groups.shape != scores.shape:
            raise ValueError(
                f"groups must hold one group per example, shape {scores.shape}; received "
                f"shape {groups.shape}."
            )
        names, means, p_value = group_p_values(
            scores, groups, self._calibration, alpha, two_sided, self.seed
        )
        is_anomaly = p_value <= alpha
        return names, Detected(
            score_name=f"mean of {self.score_function.label}",
            unit=self.score_function.unit,
            alpha=alpha,
            threshold=float("nan"),
            num_examples=len(names),
            num_anomalies=int(is_anomaly.sum()),
            num_calibration=self.num_calibration,
            guarantee=f"at most {100 * alpha:g} % of normal groups",
            score=means,
            p_value=p_value,
            is_anomaly=is_anomaly,
        )

    def best_threshold(
        self,
        x: Any,
        labels: Any,
        false_alarm: float = 1.0,
        miss: float = 1.0,
        prevalence: float | None = None,
    ) -> Threshold:
        """Finds the cheapest threshold on examples with known anomalies.

            loss = prevalence * miss * miss rate + (1 - prevalence) * false_alarm * rate

        Pass its `p_value` as alpha to `detect`. The loss is that of these very examples,
        so it is optimistic if they are few.

        Args:
            x: as for `calibrate`.
            labels: (N,), 1 for an anomaly, 0 for a normal example.
            false_alarm: the cost of one false alarm.
            miss: the cost of one missed anomaly, in the same currency.
            prevalence: share of anomalies where it will be used; that of the labels if
                None.

        Returns:
            threshold: with its loss and both error rates.

        Raises:
            ValueError: if the labels hold only one kind, or a number is out of range.
        """
        self._check_calibrated()
        found = best_threshold(self.score(x), labels, false_alarm, miss, prevalence)
        return Threshold(*found, p_value=float(self.p_values(found[:1])[0]))

    def _check_calibrated(self) -> None:
        if not self.num_calibration:
            raise ValueError(
                "the detector isn't calibrated: call calibrate(x_normal) with normal "
                "examples that the model was not trained on."
            )

    # === Saving ===

    def save(self, path: Any) -> None:
        """Saves the model, the score, and the calibration to a new folder.

        Args:
            path: of the folder; must not exist.

        Raises:
            FileExistsError: if it does.
            WriteError: if it can't be written.
        """
        self._check_calibrated()
        arrays = {"calibration": self._calibration, **self._where.usual}
        facts = {"seed": self.seed, "reason": self._reason}
        facts |= {"attribution": self.attribution}
        write_detector(path, self.vae, self.score_function, arrays, facts)

    @classmethod
    def load(cls, path: Any, score: Score | None = None) -> Detector:
        """Loads what `save` wrote.

        Args:
            path: of the folder.
            score: a new instance of your own score, if the detector had one.

        Returns:
            detector: calibrated; it makes the same decisions.

        Raises:
            UserError: if it isn't the folder of a detector, or is damaged.
        """
        vae, score, arrays, facts = read_detector(path, score)
        detector = cls(vae, score, facts["seed"], facts["attribution"])
        detector._reason = facts["reason"]
        detector._calibration = arrays["calibration"]
        detector._where.usual = {
            k: v for k, v in arrays.items() if k.startswith("expected")
        }
        return detector

    def __repr__(self) -> str:
        count = self.num_calibration
        state = f"calibrated with {count} examples" if count else "not calibrated"
        return f"Detector({self.score_function!r}, {state})"
