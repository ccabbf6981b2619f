from itertools import pairwise

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from sklearn.calibration import calibration_curve

from dfd_core.errors import EvaluationError, UnknownNameError
from dfd_core.evaluation.metrics import METRICS

# few distinct scores, so that ties are the rule; 1/15 and 0.2 are edges of bins
SCORES = st.sampled_from([0.0, 1 / 15, 0.2, 0.45, 0.5, np.nextafter(0.5, 1), 0.9, 1.0])
SAMPLES = st.lists(st.tuples(st.integers(0, 1), SCORES), min_size=2, max_size=60).filter(
    lambda samples: {0, 1} == {label for label, _ in samples}
)


def equal_error_rate(y, score):
    """Where the ROC curve, walked along its length, meets FPR = 1 - TPR."""
    false, true, _ = oracle.roc_curve(y, score, drop_intermediate=False)
    steps = np.arange(len(false))
    where = brentq(lambda at: np.interp(at, steps, false + true) - 1, 0, steps[-1], xtol=1e-14)
    return np.interp(where, steps, false)


def tpr_at_fpr(y, score, target):
    false, true, _ = oracle.roc_curve(y, score, drop_intermediate=False)
    return true[false <= target + 1e-12].max()


def calibration_error(y, score):
    true, predicted = calibration_curve(y, score, n_bins=15)
    edges = np.linspace(0, 1, 16)
    edges[0] = -1
    counts = [((low < score) & (score <= high)).sum() for low, high in pairwise(edges)]
    return np.abs(true - predicted) @ np.array([n for n in counts if n]) / len(y)


ORACLES = {
    "accuracy": lambda y, s, t: oracle.accuracy_score(y, s > t),
    "balanced_accuracy": lambda y, s, t: oracle.balanced_accuracy_score(y, s > t),
    "accuracy_real": lambda y, s, t: oracle.recall_score(y, s > t, pos_label=0),
    "accuracy_fake": lambda y, s, t: oracle.recall_score(y, s > t),
    "false_positive_rate": lambda y, s, t: 1 - oracle.recall_score(y, s > t, pos_label=0),
    "f1": lambda y, s, t: oracle.f1_score(y, s > t, zero_division=0),
    "average_precision": lambda y, s, t: oracle.average_precision_score(y, s),
    "auroc": lambda y, s, t: oracle.roc_auc_score(y, s),
    "eer": lambda y, s, t: equal_error_rate(y, s),
    "tpr_at_fpr_1pct": lambda y, s, t: tpr_at_fpr(y, s, 0.01),
    "tpr_at_fpr_5pct": lambda y, s, t: tpr_at_fpr(y, s, 0.05),
    "ece": lambda y, s, t: calibration_error(y, s),
    "brier": lambda y, s, t: oracle.brier_score_loss(y, s),
}


def test_every_metric_has_an_oracle():
    assert set(METRICS) == set(ORACLES)


@pytest.mark.parametrize("name", list(METRICS))
@given(SAMPLES, st.sampled_from([0.1, 0.5, 0.9]))
def test_metrics_agree_with_scikit_learn_ties_included(name, samples, threshold):
    y, score = (np.array(column) for column in zip(*samples, strict=True))
    value = METRICS[name].function(y, score, threshold)
    assert value == pytest.approx(ORACLES[name](y, score, threshold), abs=1e-12)


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("n_real", [100, 300, 20])
def test_metrics_agree_on_many_scores(name, n_real):
    generator = np.random.default_rng(n_real)
    y = np.repeat([0, 1], [n_real, 157])
    score = np.round(generator.beta(1 + 2 * y, 3 - 2 * y), 3)
    assert METRICS[name].function(y, score, 0.4) == pytest.approx(ORACLES[name](y, score, 0.4), abs=1e-12)


@given(SAMPLES)
def test_what_does_not_use_the_threshold_does_not_change_with_it(samples):
    y, score = (np.array(column) for column in zip(*samples, strict=True))
    for _, metric in METRICS.items():
        if not metric.thresholded:
            assert metric.function(y, score, 0.1) == metric.function(y, score, 0.9)


@given(SAMPLES)
def test_only_probabilistic_and_thresholded_metrics_change_with_a_rising_map(samples):
    y, score = (np.array(column) for column in zip(*samples, strict=True))
    for _, metric in METRICS.items():
        if not metric.thresholded and not metric.probabilistic:
            assert metric.function(y, score, 0.5) == metric.function(y, score / 2, 0.5)


@pytest.mark.parametrize("name", list(METRICS))
def test_perfect_and_inverted_scores_have_the_best_and_the_worst_value(name):
    y = np.repeat([0, 1], 50)
    metric = METRICS[name]
    best, worst = (metric.function(y, score, 0.5) for score in (y * 1.0, 1.0 - y))
    assert (best, worst) == ((1, 0) if metric.higher_is_better else (0, 1)) or (
        name == "average_precision" and best == 1 and worst == 0.5
    )


@pytest.mark.parametrize("name", list(METRICS))
def test_other_labels_than_the_named_ones_change_nothing(name):
    y, score = np.array([0, 0, 1, 1]), np.array([0.2, 0.7, 0.6, 0.9])
    metric = METRICS[name]
    for label in {0, 1} - set(metric.labels):
        some = y != label
        assert metric.function(y[some], score[some], 0.5) == metric.function(y, score, 0.5)
    for label in metric.labels:
        with pytest.raises(EvaluationError, match=f"needs {'fake' if label else 'real'} samples"):
            metric.function(y[y != label], score[y != label], 0.5)


def test_a_score_at_the_threshold_counts_as_real():
    y, score = np.array([0, 1]), np.array([0.5, 0.5])
    assert METRICS["accuracy_real"].function(y, score, 0.5) == 1
    assert METRICS["accuracy_fake"].function(y, score, 0.5) == 0
    assert METRICS["auroc"].function(y, score, 0.5) == 0.5


def test_below_a_hundred_reals_one_percent_allows_no_false_alarm():
    fakes = np.linspace(0.05, 1, 20)
    for n_real, expected in ((99, 0.5), (100, 1.0)):
        y = np.repeat([0, 1], [n_real, 20])
        score = np.concatenate([np.zeros(n_real - 1), [0.5], fakes])  # one real is above half of the fakes
        assert METRICS["tpr_at_fpr_1pct"].function(y, score, 0.5) == expected


def test_an_unknown_metric_is_told():
    with pytest.raises(UnknownNameError, match="Did you mean 'auroc'"):
        METRICS["AUROCC"]
