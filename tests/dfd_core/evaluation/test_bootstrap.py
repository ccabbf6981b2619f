import tracemalloc

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import norm

from dfd_core.errors import EvaluationError, UnknownNameError
from dfd_core.evaluation import bootstrap
from dfd_core.evaluation.bootstrap import BootstrapSpec, Cell, Resamples
from dfd_core.evaluation.metrics import METRICS

WEIGHTED = {
    "accuracy": lambda y, s, w: oracle.accuracy_score(y, s > 0.5, sample_weight=w),
    "balanced_accuracy": lambda y, s, w: oracle.balanced_accuracy_score(y, s > 0.5, sample_weight=w),
    "f1": lambda y, s, w: oracle.f1_score(y, s > 0.5, sample_weight=w),
    "auroc": lambda y, s, w: oracle.roc_auc_score(y, s, sample_weight=w),
    "average_precision": lambda y, s, w: oracle.average_precision_score(y, s, sample_weight=w),
    "brier": lambda y, s, w: oracle.brier_score_loss(y, s, sample_weight=w),
}


def samples(n=90, seed=0, digits=2):
    """Scores with ties, and groups of reals, of fakes and of both, of unequal sizes."""
    generator = np.random.default_rng(seed)
    y = generator.permutation(np.arange(n) % 3 > 0).astype(int)
    score = np.round(generator.beta(1 + 2 * y, 3 - 2 * y), digits)
    group = np.where(generator.random(n) < 0.5, generator.integers(0, n // 5, n), n + np.arange(n))
    return y, score, np.array([f"g{code}" for code in group], dtype=object)


def weights(y, group, spec):
    resamples = Resamples(y, group, spec)
    return np.concatenate(list(resamples.blocks()))[:, resamples.column].astype(int)


def test_every_replicate_is_the_metric_of_the_resampled_rows():
    y, score, group = samples()
    spec = BootstrapSpec(replicates=40, seed=3)
    cell, drawn = Cell(y, score, group, spec), weights(y, group, spec)
    for name, metric in METRICS.items():
        plain = [metric.function(np.repeat(y, row), np.repeat(score, row), 0.5) for row in drawn]
        np.testing.assert_allclose(cell.replicates(name, 0.5), plain, rtol=0, atol=1e-12)
        assert cell.measure(name, 0.5).value == metric.function(y, score, 0.5)


@pytest.mark.parametrize("n", [90, 20_000])  # the larger is summed in pieces
def test_every_replicate_is_scikit_learns_with_weights(n):
    y, score, group = samples(n, digits=4)
    spec = BootstrapSpec(replicates=4)
    cell, drawn = Cell(y, score, group, spec), weights(y, group, spec)
    for name, weighted in WEIGHTED.items():
        plain = [weighted(y, score, row) for row in drawn]
        np.testing.assert_allclose(cell.replicates(name, 0.5), plain, rtol=0, atol=1e-12)


def test_intervals_are_percentiles_of_the_replicates():
    cell = Cell(*samples(), BootstrapSpec(replicates=200, level=0.9))
    for name in ("auroc", "accuracy", "brier"):
        value, low, high = cell.measure(name, 0.5)
        assert [low, high] == pytest.approx(np.quantile(cell.replicates(name, 0.5), [0.05, 0.95]), abs=1e-15)
        assert low < value < high


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=1, max_size=40), st.integers(0, 5))
def test_groups_are_drawn_whole_within_strata_and_every_label_stays(pairs, seed):
    y, group = (np.array(column) for column in zip(*pairs, strict=True))
    labels = {code: frozenset(y[group == code].tolist()) for code in set(group.tolist())}
    for row in weights(y, group, BootstrapSpec(replicates=5, seed=seed)):
        of_group = {code: set(row[group == code].tolist()) for code in labels}
        assert all(len(found) == 1 for found in of_group.values())
        for kind in set(labels.values()):
            own = [code for code in labels if labels[code] == kind]
            assert sum(of_group[code].copy().pop() for code in own) == len(own)
        assert set(y[row > 0]) == set(y)


def test_single_samples_are_drawn_like_a_multinomial():
    y = np.repeat([0, 1], [30, 60])
    drawn = weights(y, np.arange(90), BootstrapSpec(replicates=20_000))
    assert drawn.mean(axis=0) == pytest.approx(np.ones(90), abs=0.04)
    assert drawn[:, :30].var() == pytest.approx(1 - 1 / 30, abs=0.02)
    assert np.cov(drawn[:, 0], drawn[:, 1])[0, 1] == pytest.approx(-1 / 30, abs=0.02)
    assert np.cov(drawn[:, 0], drawn[:, 40])[0, 1] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("constant", ["BLOCK", "KEPT_BYTES"])
def test_replicates_depend_on_the_seed_and_not_on_blocks(constant, monkeypatch):
    y, score, group = samples()
    spec = BootstrapSpec(replicates=30, seed=1)
    before = Cell(y, score, group, spec)
    other = Cell(y, score, group, BootstrapSpec(replicates=30, seed=2))
    expected = {name: before.replicates(name, 0.5) for name in METRICS}
    monkeypatch.setattr(bootstrap, constant, 7 * 90 if constant == "BLOCK" else 0)
    for name, values in expected.items():
        assert Cell(y, score, group, spec).replicates(name, 0.5) == pytest.approx(values, abs=1e-14)
        assert not np.array_equal(other.replicates(name, 0.5), values)


@given(st.permutations(range(30)))
def test_the_order_of_rows_changes_nothing(order):
    y, score, group = samples(30)
    some = list(order)
    spec = BootstrapSpec(replicates=8)
    one, other = Cell(y, score, group, spec), Cell(y[some], score[some], group[some], spec)
    for name in METRICS:
        assert other.measure(name, 0.3) == pytest.approx(one.measure(name, 0.3), abs=1e-14)


def binormal(generator, n, distance, copies=1, correlation=0.0):
    """n groups of each label with `copies` samples whose noise is correlated, and the true AUROC and accuracy."""
    y = np.repeat([0, 1], n * copies)
    shared = np.repeat(generator.normal(size=2 * n), copies)
    noise = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * generator.normal(size=len(y))
    score = norm.cdf(noise + distance * (y - 0.5))
    truth = {"auroc": norm.cdf(distance / np.sqrt(2)), "accuracy": norm.cdf(distance / 2)}
    return y, score, np.repeat(np.arange(2 * n), copies), truth


def coverage(n_sets, grouped, **world):
    """The share of intervals that hold the truth, and their mean width, by metric."""
    generator = np.random.default_rng(5)
    hits, widths = {"auroc": [], "accuracy": []}, {"auroc": [], "accuracy": []}
    for seed in range(n_sets):
        y, score, group, truth = binormal(generator, **world)
        cell = Cell(y, score, group if grouped else np.arange(len(y)), BootstrapSpec(replicates=200, seed=seed))
        for name, value in truth.items():
            _, low, high = cell.measure(name, 0.5)
            hits[name].append(low <= value <= high)
            widths[name].append(high - low)
    return {name: (np.mean(hits[name]), np.mean(widths[name])) for name in hits}


def test_intervals_hold_the_truth_as_often_as_they_say():
    for name, (share, _) in coverage(300, grouped=True, n=60, distance=1.5).items():
        assert 0.9 <= share <= 0.98, name


def test_samples_of_a_group_are_not_taken_for_independent():
    world = {"n": 40, "distance": 1.5, "copies": 4, "correlation": 0.8}
    by_group, by_sample = coverage(300, True, **world), coverage(300, False, **world)
    for name in by_group:
        assert by_group[name][1] > 1.4 * by_sample[name][1]
        assert 0.9 <= by_group[name][0] <= 0.98
        assert by_sample[name][0] < 0.85


def test_the_error_of_calibration_lies_in_its_interval():
    generator = np.random.default_rng(0)
    for seed in range(20):
        score = generator.random(200)
        y = (generator.random(200) < score).astype(int)  # calibrated: what is found is chance
        cell = Cell(y, score, np.arange(200), BootstrapSpec(replicates=200, seed=seed))
        value, low, high = cell.measure("ece")
        assert cell.replicates("ece").mean() > value + 0.01
        assert 0 <= low < value < high


def test_without_replicates_or_with_one_group_there_is_no_interval():
    y, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.7, 0.4])
    none = Cell(y, score, np.arange(4), BootstrapSpec(replicates=0))
    assert none.measure("auroc") == (0.75, None, None)
    assert none.measure("accuracy", 0.5) == (0.5, None, None)
    one_real = Cell(y, score, np.array([0, 0, 1, 2]), BootstrapSpec(replicates=20))
    assert one_real.measure("accuracy_real", 0.5) == (0.5, None, None)
    assert one_real.measure("auroc")[1:] == (None, None)
    assert one_real.measure("accuracy_fake", 0.5).low == 0
    alone_in_its_stratum = Cell(y, score, np.array([0, 1, 1, 2]), BootstrapSpec(replicates=20))
    assert alone_in_its_stratum.measure("auroc") == (0.75, None, None)


def test_reals_alone_have_a_false_positive_rate_and_no_auroc():
    cell = Cell(np.zeros(40), np.linspace(0, 1, 40), np.arange(40), BootstrapSpec(replicates=100))
    value, low, high = cell.measure("false_positive_rate", 0.74)
    assert value == 0.275
    assert 0.1 < low < value < high < 0.5
    for ask in (cell.measure, cell.replicates):
        with pytest.raises(EvaluationError, match="AUROC needs fake samples"):
            ask("auroc")


def test_what_makes_no_sense_is_told():
    spec = BootstrapSpec(replicates=2)
    y, score, group = np.array([0, 1]), np.array([0.2, 0.8]), np.array(["a", "b"], dtype=object)
    for bad in (
        (y, np.array([0.2, np.nan]), group),
        (y, np.array([0.2, 1.1]), group),
        (y, np.array([0.2]), group),
        (np.array([0, 2]), score, group),
        (y, score, np.array(["a", None], dtype=object)),
    ):
        with pytest.raises(EvaluationError):
            Cell(*bad, spec)
    cell = Cell(y, score, group, spec)
    with pytest.raises(EvaluationError, match="needs a threshold"):
        cell.measure("accuracy")
    with pytest.raises(UnknownNameError):
        cell.measure("acuracy", 0.5)
    for values in ({"replicates": -1}, {"level": 1.0}, {"seed": -1}, {"resamples": 3}):
        with pytest.raises(ValidationError):
            BootstrapSpec(**values)


def test_memory_stays_bounded_on_large_test_sets():
    n = 100_000
    generator = np.random.default_rng(0)
    y, score = np.arange(n) % 2, generator.random(n)
    tracemalloc.start()
    cell = Cell(y, score, np.arange(n), BootstrapSpec(replicates=150))
    for name in METRICS:
        cell.measure(name, 0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6
