import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from dfd_core.errors import EvaluationError
from dfd_core.evaluation.bootstrap import BootstrapSpec, Cell
from dfd_core.evaluation.comparison import delong, mcnemar

SCORE = st.integers(0, 8).map(lambda i: i / 8)
SAMPLES = st.lists(st.tuples(st.integers(0, 1), SCORE, SCORE), min_size=4, max_size=40).filter(
    lambda samples: 2 <= sum(label for label, *_ in samples) <= len(samples) - 2
)


def two_detectors(generator, n=60, a=1.5, b=1.5, correlation=0.6, digits=2):
    """Scores of two detectors whose noise is correlated, with some ties."""
    y = np.repeat([0, 1], [n, n + 20])
    shared = generator.normal(size=len(y))
    own = generator.normal(size=(2, len(y)))
    noise = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    return y, *(np.round(norm.cdf(row + d * (y - 0.5)), digits) for row, d in zip(noise, (a, b), strict=True))


def brute_force(y, score_a, score_b):
    """Difference of AUROC and its variance from all pairs, by the definition (DeLong et al. 1988, equations 4 to 7)."""
    tables = []
    for score in (score_a, score_b):
        fakes, reals = score[y == 1][:, np.newaxis], score[y == 0][np.newaxis]
        tables.append((fakes > reals) + (fakes == reals) / 2)
    of_fakes = np.cov([table.mean(axis=1) for table in tables])
    of_reals = np.cov([table.mean(axis=0) for table in tables])
    covariance = of_fakes / (y == 1).sum() + of_reals / (y == 0).sum()
    contrast = np.array([1, -1])
    return tables[0].mean() - tables[1].mean(), contrast @ covariance @ contrast


@given(SAMPLES)
def test_delong_is_what_all_pairs_give(samples):
    y, a, b = (np.array(column) for column in zip(*samples, strict=True))
    found = delong(y, a, b)
    difference, variance = brute_force(y, a, b)
    assert found.difference == pytest.approx(difference, abs=1e-12)
    assert found.difference == pytest.approx(roc_auc_score(y, a) - roc_auc_score(y, b), abs=1e-12)
    if variance > 1e-12:
        z = difference / np.sqrt(variance)
        assert found.statistic == pytest.approx(z, abs=1e-9)
        assert found.p_value == pytest.approx(2 * norm.sf(abs(z)), abs=1e-9)
    back = delong(y, b, a)
    assert (back.difference, back.p_value) == pytest.approx((-found.difference, found.p_value), abs=1e-9)


def test_delong_agrees_with_the_paired_bootstrap():
    y, a, b = two_detectors(np.random.default_rng(0), n=200, a=2.0)
    spec = BootstrapSpec(replicates=2000)
    one, other = (Cell(y, score, np.arange(len(y)), spec).replicates("auroc") for score in (a, b))
    found = delong(y, a, b)
    deviation = (found.high - found.low) / (2 * norm.ppf(0.975))
    assert (one - other).std() == pytest.approx(deviation, rel=0.06)
    assert (one - other).std() < 0.8 * np.hypot(one.std(), other.std())  # what pairing is good for


def test_without_a_difference_five_percent_are_significant():
    generator = np.random.default_rng(1)
    found = [delong(*two_detectors(generator)) for _ in range(600)]
    assert 0.03 <= np.mean([one.p_value < 0.05 for one in found]) <= 0.07
    assert 0.93 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.97


def test_a_difference_is_found_and_has_a_sign():
    found = delong(*two_detectors(np.random.default_rng(2), n=300, a=2.5, b=1.0))
    assert found.low > 0
    assert found.p_value < 1e-6
    assert (found.n, found.test) == (620, "DeLong")


def test_without_variance_nothing_is_divided():
    y = np.repeat([0, 1], 5)
    same = delong(y, y * 0.5, y * 1.0)
    assert same[:5] == (0, 0, 0, 1, 0)
    opposite = delong(y, y * 1.0, 1.0 - y)
    assert opposite[:5] == (1, 1, 1, 0, np.inf)
    assert delong(y, 1.0 - y, y * 1.0).statistic == -np.inf


def test_delong_needs_two_of_each():
    with pytest.raises(EvaluationError, match="2 real, 1 generated"):
        delong(np.array([0, 0, 1]), np.zeros(3), np.ones(3))


def calls(only_a, only_b, both, neither):
    """Labels and calls with so many samples that only the first, only the second, both or neither tell rightly."""
    right_a = np.repeat([True, False, True, False], [only_a, only_b, both, neither])
    right_b = np.repeat([False, True, True, False], [only_a, only_b, both, neither])
    y = np.arange(len(right_a)) % 2
    return y, np.where(right_a, y, 1 - y), np.where(right_b, y, 1 - y)


def test_mcnemar_is_the_textbooks():
    # Agresti, Categorical Data Analysis, approval of a prime minister: 150 and 86 changed, (150 - 86)^2 / 236 = 17.36
    found = mcnemar(*calls(150, 86, 794, 570))
    assert found.test == "McNemar, chi-square"
    assert found.statistic == pytest.approx(63**2 / 236)
    assert found.p_value == pytest.approx(4.115e-5, rel=1e-3)
    assert found.difference == 0.04
    assert (found.low, found.high) == pytest.approx((0.0212, 0.0587), abs=2e-4)  # Agresti's Wald: 0.021, 0.059
    assert found.n == 1600


@pytest.mark.parametrize(
    ("only_a", "only_b", "p_value"),
    [(9, 1, 22 / 1024), (0, 5, 2 / 32), (3, 3, 1.0), (0, 0, 1.0), (1, 9, 22 / 1024)],
)
def test_few_disagreements_are_counted_exactly(only_a, only_b, p_value):
    found = mcnemar(*calls(only_a, only_b, 20, 10))
    assert found.test == "McNemar, exact"
    assert found.p_value == pytest.approx(p_value)
    assert found.statistic == only_a
    assert found.low <= found.difference <= found.high
    assert found.low < found.high


def test_the_interval_of_accuracies_holds_the_truth():
    generator = np.random.default_rng(3)
    hits = []
    for _ in range(400):
        kind = generator.choice(4, size=120, p=[0.12, 0.05, 0.7, 0.13])
        found = mcnemar(*calls(*np.bincount(kind, minlength=4)))
        hits.append(found.low <= 0.07 <= found.high)
    assert 0.92 <= np.mean(hits) <= 0.98


def test_mcnemar_needs_calls_of_the_same_samples():
    with pytest.raises(EvaluationError, match="3 labels, 2 and 3 calls"):
        mcnemar(np.zeros(3), np.zeros(2), np.zeros(3))
    with pytest.raises(EvaluationError, match="0 labels"):
        mcnemar(np.zeros(0), np.zeros(0), np.zeros(0))
