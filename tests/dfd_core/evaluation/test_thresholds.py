import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_curve

from dfd_core.errors import EvaluationError, UnknownNameError
from dfd_core.evaluation.metrics import METRICS
from dfd_core.evaluation.thresholds import Decision, choose, parse_policy

SCORES = st.sampled_from([0.0, 5e-324, 0.2, 0.5, np.nextafter(0.5, 1), 0.9, np.nextafter(1, 0), 1.0])
SAMPLES = st.lists(st.tuples(st.integers(0, 1), SCORES), min_size=2, max_size=30).filter(
    lambda samples: {0, 1} == {label for label, _ in samples}
)
EMPTY = np.array([]), np.array([])


@pytest.mark.parametrize(
    ("text", "name", "kind", "number"),
    [
        ("0.5", "0.5", "fixed", 0.5),
        (0.5, "0.5", "fixed", 0.5),
        ("0.30", "0.3", "fixed", 0.3),
        (1, "1", "fixed", 1.0),
        ("validation", "validation", "validation", None),
        ("oracle", "oracle", "oracle", None),
        ("fpr_1pct", "fpr_1pct", "fpr", 0.01),
        ("fpr_0.5pct", "fpr_0.5pct", "fpr", 0.005),
        ("fpr_5.0pct", "fpr_5pct", "fpr", 0.05),
    ],
)
def test_policies_are_written_as_names(text, name, kind, number):
    policy = parse_policy(text)
    assert (policy.name, policy.kind, policy.number) == (name, kind, number)
    assert parse_policy(policy.name) == policy


@pytest.mark.parametrize("text", ["1.5", "-0.1", "nan", "fpr_0pct", "fpr_100pct", "fpr_pct", "best", "", "1e-1", "."])
def test_unknown_policies_are_told(text):
    with pytest.raises(UnknownNameError, match="Known: 0.5, fpr_1pct"):
        parse_policy(text)


def test_close_names_are_offered():
    with pytest.raises(UnknownNameError, match="Did you mean 'validation'"):
        parse_policy("validaton")


@pytest.mark.parametrize(("name", "oracle"), [("validation", balanced_accuracy_score), ("oracle", accuracy_score)])
@given(SAMPLES)
def test_no_threshold_is_better(name, oracle, samples):
    y, score = (np.array(column) for column in zip(*samples, strict=True))
    decision = choose(parse_policy(name), y, score)
    candidates = [-1.0, *np.unique(score)]
    best = max(oracle(y, score > threshold) for threshold in candidates)
    assert oracle(y, score > decision.threshold) == pytest.approx(best, abs=1e-12)


@given(SAMPLES, st.sampled_from([1, 5, 20, 50]))
def test_the_false_positive_rate_is_kept_by_no_lower_threshold(samples, percent):
    y, score = (np.array(column) for column in zip(*samples, strict=True))
    decision = choose(parse_policy(f"fpr_{percent}pct"), y, score)
    reals = score[y == 0]
    assert (reals > decision.threshold).mean() <= percent / 100 + 1e-12
    lower = np.nextafter(decision.threshold, -1)
    assert (reals > lower).mean() > percent / 100
    false, true, _ = roc_curve(y, score, drop_intermediate=False)
    caught = METRICS["accuracy_fake"].function(y, score, decision.threshold)
    assert caught == pytest.approx(true[false <= percent / 100 + 1e-12].max())


def test_the_widest_gap_is_halved():
    y = np.array([0, 0, 0, 1, 1, 1])
    assert choose(parse_policy("validation"), y, np.array([0, 0.1, 0.2, 0.6, 0.7, 1])).threshold == pytest.approx(0.4)
    # one mistake either way: thresholds in [0.2, 0.3) and in [0.5, 0.9) are equally good, the wider is taken
    decision = choose(parse_policy("validation"), y, np.array([0.1, 0.2, 0.5, 0.3, 0.9, 0.95]))
    assert (decision.policy, decision.n_validation, decision.note) == ("validation", 6, "")
    assert decision.threshold == pytest.approx(0.7)


def test_balanced_accuracy_is_not_ruled_by_the_larger_label():
    y = np.repeat([0, 1], [2, 20])
    score = np.concatenate([[0.4, 0.6], np.linspace(0.5, 0.9, 20)])
    validation, oracle = (choose(parse_policy(name), y, score) for name in ("validation", "oracle"))
    assert validation.threshold >= 0.6
    assert 0.4 < oracle.threshold < 0.5


def test_a_threshold_may_call_nothing_or_everything():
    oracle = parse_policy("oracle")
    assert choose(oracle, np.array([0, 0, 1]), np.array([0.5, 0.6, 0.1])).threshold == pytest.approx(0.8)
    assert choose(oracle, np.array([1, 1, 0]), np.array([0.4, 0.5, 0.9])).threshold == pytest.approx(0.2)
    assert choose(oracle, np.array([1, 1, 0]), np.array([0.0, 0.5, 0.9])).threshold < 0


def test_the_oracle_is_marked():
    decision = choose(parse_policy("oracle"), np.array([0, 1]), np.array([0.3, 0.9]))
    assert decision.oracle
    assert "test set itself" in decision.note
    assert decision.n_validation == 0
    for name in ("0.5", "validation", "fpr_50pct"):
        assert not choose(parse_policy(name), np.array([0, 1]), np.array([0.3, 0.9])).oracle


@pytest.mark.parametrize("name", ["validation", "fpr_1pct", "oracle"])
def test_without_samples_nothing_is_chosen_and_it_is_said(name):
    decision = choose(parse_policy(name), *EMPTY)
    assert decision.threshold is None
    assert decision.note.startswith("no threshold")
    only_fakes = choose(parse_policy(name), np.ones(3), np.full(3, 0.7))
    assert only_fakes.threshold is None
    assert "real" in only_fakes.note


def test_a_fixed_threshold_needs_no_samples():
    assert choose(parse_policy("0.3"), *EMPTY) == Decision(policy="0.3", threshold=0.3)


def test_a_rate_needs_only_reals_and_says_when_they_are_few():
    few = choose(parse_policy("fpr_1pct"), np.zeros(99), np.linspace(0, 0.98, 99))
    assert (few.threshold, few.n_validation) == (pytest.approx(0.98), 99)
    assert "fewer than 100" in few.note
    enough = choose(parse_policy("fpr_1pct"), np.zeros(100), np.linspace(0, 0.99, 100))
    assert (enough.threshold, enough.note) == (pytest.approx(0.98), "")


def test_a_decision_is_frozen_plain_data():
    decision = choose(parse_policy("validation"), np.array([0, 1]), np.array([0.3, 0.9]))
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    with pytest.raises(ValidationError):
        decision.threshold = 0.5


def test_scores_that_are_none_are_told():
    with pytest.raises(EvaluationError, match="not within"):
        choose(parse_policy("validation"), np.array([0, 1]), np.array([0.3, np.nan]))
