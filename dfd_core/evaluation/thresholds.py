"""Threshold policies: how the score above which an image is called generated is chosen, and from what.

A detector has one threshold for each policy, chosen once and used for every test set, every source and every
augmentation. The exception is `oracle`, chosen on each test set itself: an upper bound, marked wherever it goes.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from dfd_core.errors import UnknownNameError
from dfd_core.evaluation.bootstrap import check_scores
from dfd_core.evaluation.curves import Ranking, allowed_false_alarms
from dfd_core.specs import Spec

VALIDATION, ORACLE = "validation", "oracle"
_FPR = re.compile(r"fpr_(\d+(?:\.\d+)?)pct")
_NUMBER = re.compile(r"\d*\.?\d+")


class ThresholdPolicy(Spec):
    """How a threshold is chosen; see `parse_policy`.

    Attributes:
        name: As it stands in configurations and results.
        kind: The rule.
        number: The threshold of `fixed`, or the false-positive rate between 0 and 1 of `fpr`.
    """

    name: str
    kind: Literal["fixed", "validation", "fpr", "oracle"]
    number: float | None = None


class Decision(Spec):
    """A threshold as it was chosen; one object for everything that it is used on.

    Attributes:
        policy: The policy's name.
        threshold: Scores above it are called generated; `None` where it could not be chosen, and `note` says why.
        n_validation: The validation samples that it rests on.
        oracle: Whether it was chosen on the test set itself, so that its numbers can't be had in use.
        note: What a reader must know.
    """

    policy: str
    threshold: float | None
    n_validation: int = 0
    oracle: bool = False
    note: str = ""


def parse_policy(text: str | float) -> ThresholdPolicy:
    """A policy from its name.

    Args:
        text: A number between 0 and 1; `validation`: the best balanced accuracy on validation; `fpr_1pct`, `fpr_5pct`
            or any `fpr_<x>pct`: the lowest threshold that calls at most x % of the validation reals; `oracle`: the
            best accuracy on the test set itself.

    Raises:
        UnknownNameError: It is none of these.
    """
    name = str(text).strip()
    if name in (VALIDATION, ORACLE):
        return ThresholdPolicy(name=name, kind=name)
    if (found := _FPR.fullmatch(name)) and 0 < float(found[1]) < 100:
        return ThresholdPolicy(name=f"fpr_{float(found[1]):g}pct", kind="fpr", number=float(found[1]) / 100)
    if _NUMBER.fullmatch(name) and 0 <= float(name) <= 1:
        return ThresholdPolicy(name=f"{float(name):g}", kind="fixed", number=float(name))
    raise UnknownNameError("threshold policy", name, ("0.5", VALIDATION, "fpr_1pct", "fpr_5pct", ORACLE))


def choose(policy: ThresholdPolicy, y: np.ndarray, score: np.ndarray) -> Decision:
    """The threshold of a policy.

    Args:
        policy: The policy.
        y: (N,) labels of the validation samples, or of the test samples for `oracle`; may be empty.
        score: (N,) their scores in [0, 1], calibrated if those that it is used on are.

    Returns:
        The decision. Where samples that it needs are missing, its threshold is `None`.

    Raises:
        EvaluationError: Labels or scores are out of range.
    """
    if policy.kind == "fixed":
        return Decision(policy=policy.name, threshold=policy.number)
    y, score = check_scores(y, score)
    if policy.kind == "fpr" and policy.number is not None:
        return _at_false_positive_rate(policy.name, policy.number, score[y == 0])
    oracle = policy.kind == "oracle"
    n_real, n_fake = int((y == 0).sum()), int((y == 1).sum())
    where, n_validation = ("test", 0) if oracle else ("validation", len(y))
    if not n_real or not n_fake:
        note = f"no threshold: {where} has {n_real} real and {n_fake} generated samples with a score, both are needed"
        return Decision(policy=policy.name, threshold=None, n_validation=n_validation, oracle=oracle, note=note)
    costs = (1, 1) if oracle else (n_fake, n_real)  # whole numbers, so that equally good is exactly equal
    note = "threshold chosen on the test set itself" if oracle else ""
    threshold = _best_threshold(y, score, costs)
    return Decision(policy=policy.name, threshold=threshold, n_validation=n_validation, oracle=oracle, note=note)


def _best_threshold(y: np.ndarray, score: np.ndarray, costs: tuple[int, int]) -> float:
    """The middle of the widest interval of thresholds that cost least, of equally wide ones the highest.

    Intervals lie between neighbouring distinct scores, and outwards up to 1 and down to 0. So a gap between reals and
    fakes is halved. A threshold that calls everything lies below 0 where a score is 0.

    Args:
        y: (N,) labels, of both kinds.
        score: (N,) scores in [0, 1].
        costs: Of a called real and of a missed fake.
    """
    ranking = Ranking(y, score)
    gain = costs[1] * ranking.fakes_within - costs[0] * ranking.reals_within
    levels = np.unique(score)[::-1]
    upper, lower = np.append(1.0, levels), np.append(levels, 0.0)
    width = np.where(gain == gain.max(), upper - lower, -1.0)
    chosen = int(np.argmax(width))
    middle = (upper[chosen] + lower[chosen]) / 2
    if chosen and middle >= upper[chosen]:  # neighbouring floats, or both 0: what lies at `upper` must be called
        middle = lower[chosen] if lower[chosen] < upper[chosen] else np.nextafter(upper[chosen], -np.inf)
    return float(middle)


def _at_false_positive_rate(name: str, rate: float, reals: np.ndarray) -> Decision:
    """The lowest threshold that at most a share of the reals lies above: the score of one of them."""
    if not len(reals):
        return Decision(policy=name, threshold=None, note="no threshold: validation has no real samples with a score")
    allowed = int(allowed_false_alarms(len(reals), rate))
    note = ""
    if not allowed:
        wanted = int(np.ceil(1 / rate - 1e-9))
        note = f"{len(reals)} validation reals: with fewer than {wanted} none may be called at {100 * rate:g} % FPR"
    threshold = float(np.sort(reals)[::-1][allowed])
    return Decision(policy=name, threshold=threshold, n_validation=len(reals), note=note)
