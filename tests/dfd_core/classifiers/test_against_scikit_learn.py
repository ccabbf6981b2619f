"""What our own estimators give is what scikit-learn gives."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from dfd_core.classifiers import CLASSIFIERS, ClassifierSpec, accelerated


def data(n=300, d=12, seed=0):
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return (generator.normal(size=(n, d)) + 0.4 * y[:, None]).astype(np.float32), y


def ours(name, X, y, seed=0, **options):
    spec = ClassifierSpec(name=name, options=options)
    card = CLASSIFIERS[name]
    return card.build(spec.parsed_options(), seed).fit(X.astype(card.dtype), y)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbours(k, metric):
    X, y = data()
    fresh = data(seed=1)[0].astype(np.float64)
    theirs = KNeighborsClassifier(k, metric=metric, algorithm="brute").fit(X.astype(np.float64), y)
    model = ours("knn", X, y, k=k, metric=metric)
    np.testing.assert_array_equal(model.predict_proba(fresh)[:, 1], theirs.predict_proba(fresh)[:, 1])
    np.testing.assert_array_equal(model.predict(fresh), theirs.predict(fresh))


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_support_vector_machine(kernel):
    X, y = data()
    fresh = data(seed=1)[0].astype(np.float64)
    model = ours(f"svm_{kernel}", X, y)
    decision = SVC(kernel=kernel).fit(X.astype(np.float64), y).decision_function(fresh)
    np.testing.assert_allclose(model.decision_function(fresh), decision, atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(fresh)[:, 1], 1 / (1 + np.exp(-decision)), atol=1e-9)


@pytest.mark.parametrize(
    ("name", "theirs", "dtype"),
    [
        ("decision_tree", DecisionTreeClassifier(random_state=3), np.float32),
        ("random_forest", RandomForestClassifier(random_state=3), np.float32),
        ("bagging", BaggingClassifier(DecisionTreeClassifier(), random_state=3), np.float32),
        ("gradient_boosting", HistGradientBoostingClassifier(random_state=3), np.float64),
    ],
)
def test_trees_as_arrays(name, theirs, dtype):
    X, y = data()
    fresh = data(seed=1, n=500)[0].astype(dtype)
    expected = theirs.fit(X.astype(dtype), y).predict_proba(fresh)[:, 1]
    np.testing.assert_allclose(ours(name, X, y, seed=3).predict_proba(fresh)[:, 1], expected, rtol=1e-12, atol=1e-15)


def test_a_bagged_tree_that_saw_one_class_only():
    X, y = data(n=12)
    y = (np.arange(12) == 0).astype(int)
    expected = BaggingClassifier(DecisionTreeClassifier(), random_state=0).fit(X, y).predict_proba(X)[:, 1]
    np.testing.assert_array_equal(ours("bagging", X, y).predict_proba(X)[:, 1], expected)


def test_ridge():
    X, y = data()
    decision = RidgeClassifier().fit(X.astype(np.float64), y).decision_function(X.astype(np.float64))
    np.testing.assert_allclose(ours("ridge", X, y).decision_function(X), decision, rtol=1e-9)


def test_quadratic_discriminant_where_it_exists_and_where_it_is_singular():
    X, y = data()
    card = CLASSIFIERS["qda"]
    whole = ours("qda", X, y)
    expected = QuadraticDiscriminantAnalysis().fit(X.astype(np.float64), y).predict_proba(X.astype(np.float64))
    np.testing.assert_allclose(whole.predict_proba(X), expected, atol=1e-9)
    assert card.notes(whole, X, y) == ()
    fresh, truth = data(n=400, seed=1)
    constant = X.copy()
    constant[:, 3] = 7
    for rows, labels in ((X[:16], y[:16]), (constant, y)):
        fresh[:, 3] = 7 if rows is constant else fresh[:, 3]
        singular = ours("qda", rows, labels)
        assert "singular" in card.notes(singular, rows, labels)[0]
        assert np.mean(singular.predict(fresh) == truth) > 0.6


@pytest.mark.parametrize("name", ["svm_rbf", "svm_linear"])
def test_a_support_vector_machine_that_was_stopped_says_so(name):
    X, y = data()
    with pytest.warns(ConvergenceWarning):
        model = ours(name, X, y, max_iter=3)
    assert CLASSIFIERS[name].notes(model, X, y) == ("not converged after 3 of 3 steps",)


@pytest.fixture
def _everything_is_large(monkeypatch):
    pytest.importorskip("sklearnex")
    monkeypatch.setattr(accelerated, "SMALLEST_ROWS", 0)


@pytest.mark.usefixtures("_everything_is_large")
@pytest.mark.parametrize("name", ["svm_rbf", "svm_linear"])
def test_the_fast_support_vector_machine_is_the_same(name, monkeypatch):
    X, y = data(n=2000, d=40)
    fresh, _ = data(n=2000, d=40, seed=1)
    fast = ours(name, X, y)
    assert "scikit-learn-intelex" in CLASSIFIERS[name].notes(fast, X, y)[-1]
    monkeypatch.setattr(accelerated, "SMALLEST_ROWS", 10**9)
    plain = ours(name, X, y)
    assert CLASSIFIERS[name].notes(plain, X, y) == ()
    difference = np.abs(fast.decision_function(fresh) - plain.decision_function(fresh))
    assert difference.max() < 0.01  # both stop where no pair is wrong by more than 0.001
    unequal = fast.predict(fresh) != plain.predict(fresh)
    assert np.abs(plain.decision_function(fresh))[unequal].max(initial=0) < 0.01


@pytest.mark.usefixtures("_everything_is_large")
@pytest.mark.parametrize("name", ["random_forest", "bagging"])
def test_the_fast_forest_is_as_good_with_other_draws(name, monkeypatch):
    X, y = data(n=1000)
    fresh, truth = data(n=2000, seed=1)
    fast = [np.mean(ours(name, X, y, seed=seed).predict(fresh) == truth) for seed in range(4)]
    model = ours(name, X, y)
    assert "random draws" in CLASSIFIERS[name].notes(model, X, y)[0]
    np.testing.assert_array_equal(ours(name, X, y).predict_proba(fresh), model.predict_proba(fresh))
    monkeypatch.setattr(accelerated, "SMALLEST_ROWS", 10**9)
    plain = [np.mean(ours(name, X, y, seed=seed).predict(fresh) == truth) for seed in range(4)]
    assert abs(np.mean(fast) - np.mean(plain)) < 0.015


@pytest.mark.parametrize("name", ["random_forest", "gradient_boosting"])
@pytest.mark.parametrize("attribute", ["children_", "feature_"])
def test_indices_that_lead_out_of_a_tree_are_found(name, attribute):
    X, y = data()
    model = ours(name, X, y)
    array = getattr(model, attribute)
    setattr(model, attribute, np.full_like(array, 10**9))
    with pytest.raises(IndexError):
        model.predict_proba(X)


def test_a_tree_that_leads_in_circles_comes_to_an_end():
    X, y = data()
    model = ours("decision_tree", X, y)
    model.children_ = np.roll(model.children_, 1, axis=1)
    assert np.isfinite(model.predict_proba(X)).all()
