import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from dfd_core.classifiers import CLASSIFIERS
from dfd_core.detectors.hierarchy_node import NodeSummary, coupled, fit_node
from dfd_core.detectors.hierarchy_spec import UNKNOWN, LevelSpec
from dfd_core.errors import EvaluationError

each = pytest.mark.parametrize("classifier", list(CLASSIFIERS))


def data(n_classes, noise=1.0, n=60, seed=0):
    codes = np.arange(n * n_classes) % n_classes
    X = np.random.default_rng(seed).normal(size=(len(codes), 8)) * noise + 8 * np.eye(8)[codes]
    return X.astype(np.float32), codes


def node(n_classes, classifier="logistic_regression", threshold="0.5", noise=1.0, n=60):
    X, codes = data(n_classes, noise, n)
    summary = NodeSummary(
        level="generator", family="gan", names=tuple("abcdefgh"[:n_classes]),
        chosen=LevelSpec(classifier=classifier), threshold=threshold,
    )  # fmt: skip
    return fit_node(summary, X, codes, np.arange(len(X)), seed=0), X, codes


@each
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_any_classifier_tells_any_number_of_classes(classifier, n_classes):
    fitted, X, codes = node(n_classes, classifier)
    scores = fitted.scores(X)
    assert scores.shape == (len(X), n_classes)
    assert scores.min() >= 0
    assert scores.sum(axis=1).max() <= 1 + 1e-9
    assert np.mean(scores.argmax(axis=1) == codes) > 0.98
    assert fitted.summary.n_train == (60,) * n_classes
    assert fitted.summary.notes == ()


def test_one_for_each_class_only_where_a_classifier_knows_two():
    assert node(3)[0].summary.kind == "one classifier"
    assert node(3, "nearest_neighbour")[0].summary.kind == "one versus rest"
    assert len(node(3, "nearest_neighbour")[0].models) == 3
    assert node(2, "nearest_neighbour")[0].summary.kind == "one classifier"


def test_a_multiclass_classifier_gives_its_own_probabilities():
    fitted, X, codes = node(3)
    oracle = LogisticRegression(C=1.0, tol=1e-8, max_iter=5000).fit(X.astype(np.float64), codes)
    np.testing.assert_array_equal(fitted.scores(X), oracle.predict_proba(X.astype(np.float64)))


def test_one_class_is_trivial_and_says_so():
    fitted, X, _ = node(1)
    assert fitted.models == []
    assert fitted.scores(X).tolist() == [[1.0]] * len(X)
    assert set(fitted.answer(fitted.scores(X))[0]) == {"a"}
    assert "trivial" in fitted.summary.notes[0]


def test_below_the_threshold_the_answer_is_unknown_and_at_it_is_not():
    fitted, _, _ = node(2, threshold="0.75")
    names, top = fitted.answer(np.array([[0.75, 0.25], [0.26, 0.74], [0.5, 0.5]]))
    assert names.tolist() == ["a", UNKNOWN, UNKNOWN]
    assert top.tolist() == [0.75, 0.74, 0.5]


@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(2, 6)), elements=st.floats(0, 1)))
def test_the_highest_score_stands_and_the_others_share_what_is_left(scores):
    found = coupled(scores)
    rows = np.arange(len(scores))
    winner = scores.argmax(axis=1)
    np.testing.assert_array_equal(found[rows, winner], scores[rows, winner])
    fits = scores.sum(axis=1) <= 1
    np.testing.assert_allclose(found[fits], scores[fits], atol=1e-12)
    np.testing.assert_allclose(found[~fits].sum(axis=1), 1, rtol=1e-9)
    assert (found <= scores + 1e-12).all()


def test_a_fit_that_did_not_converge_is_noted_at_any_number_of_classes():
    choice = {"name": "logistic_regression", "options": {"max_iter": 2}}
    for n_classes in (2, 3):
        with pytest.warns(ConvergenceWarning):
            fitted, _, _ = node(n_classes, choice, noise=8)
        assert "level generator within gan: not converged after 2 of 2 steps" in fitted.summary.notes[0]


def test_scores_that_are_no_numbers_are_refused():
    fitted, X, _ = node(3)
    fitted.models[0].coef_[:] = np.nan
    with pytest.raises(EvaluationError, match="180 of 180 rows scores that are not finite"):
        fitted.scores(X)


@each
def test_a_share_loses_that_share_of_known_samples(classifier):
    fitted, _, _ = node(3, classifier, threshold="10pct", noise=3.0, n=500)
    fresh = data(3, noise=3.0, n=2000, seed=1)[0]
    lost = np.mean(fitted.answer(fitted.scores(fresh))[0] == UNKNOWN)
    assert fitted.summary.n_held_out == 300
    error = np.sqrt(0.1 * 0.9 / 300)
    assert lost < 0.1 + 4 * error  # where scores take few values, such as shares of neighbours, fewer are lost
    if classifier == "logistic_regression":
        assert lost > 0.1 - 4 * error


def test_a_threshold_that_needs_more_rows_than_there_are():
    with pytest.raises(EvaluationError, match=r"too few rows .* 5pct \(4 a, 4 b\)"):
        node(2, threshold="5pct", n=4)
    assert "found with only 4 rows" in node(2, threshold="5pct", n=10)[0].summary.notes[0]


def test_a_classifier_that_can_not_be_fitted_says_where():
    summary = node(2)[0].summary
    with pytest.raises(EvaluationError, match="logistic_regression can't be fitted at level generator within gan on 4"):
        fit_node(summary, np.zeros((4, 0)), np.zeros(4, dtype=int), np.arange(4), seed=0)
