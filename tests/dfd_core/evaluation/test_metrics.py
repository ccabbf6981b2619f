import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given
from hypothesis import strategies as st

from dfd_core.errors import UnknownNameError
from dfd_core.evaluation.metrics import METRICS

# few distinct scores, so that ties are the rule
SAMPLES = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.2, 0.5, np.nextafter(0.5, 1), 0.9, 1.0])),
    min_size=2,
    max_size=40,
).filter(lambda samples: {0, 1} == {label for label, _ in samples})
ORACLES = {
    "accuracy": lambda y, s, t: oracle.accuracy_score(y, s > t),
    "accuracy_real": lambda y, s, t: oracle.recall_score(y, s > t, pos_label=0),
    "accuracy_fake": lambda y, s, t: oracle.recall_score(y, s > t),
    "average_precision": lambda y, s, t: oracle.average_precision_score(y, s),
    "auroc": lambda y, s, t: oracle.roc_auc_score(y, s),
}


def test_every_metric_has_an_oracle():
    assert set(METRICS) == set(ORACLES)


@pytest.mark.parametrize("name", list(METRICS))
@given(SAMPLES, st.sampled_from([0.1, 0.5, 0.9]))
def test_metrics_agree_with_scikit_learn_ties_included(name, samples, threshold):
    y, score = (np.array(column) for column in zip(*samples, strict=True))
    value = METRICS[name].function(y, score, threshold)
    assert value == pytest.approx(ORACLES[name](y, score, threshold), abs=1e-12)


@given(SAMPLES)
def test_what_does_not_use_the_threshold_does_not_change_with_it(samples):
    y, score = (np.array(column) for column in zip(*samples, strict=True))
    for _, metric in METRICS.items():
        if not metric.thresholded:
            assert metric.function(y, score, 0.1) == metric.function(y, score, 0.9)


def test_a_score_at_the_threshold_counts_as_real():
    y, score = np.array([0, 1]), np.array([0.5, 0.5])
    assert METRICS["accuracy_real"].function(y, score, 0.5) == 1
    assert METRICS["accuracy_fake"].function(y, score, 0.5) == 0
    assert METRICS["auroc"].function(y, score, 0.5) == 0.5


def test_an_unknown_metric_is_told():
    with pytest.raises(UnknownNameError, match="Did you mean 'auroc'"):
        METRICS["AUROCC"]
