import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from dfd_core.classifiers.logistic_regression import build, convergence_notes


def data(scale=1.0):
    generator = np.random.default_rng(0)
    y = np.arange(200) % 2
    return scale * (generator.normal(size=(200, 10)) + 0.3 * y[:, None]), y


@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_a_converged_fit_has_no_notes(C, scale):
    X, y = data(scale)
    assert convergence_notes(build(C, 5000, 0).fit(X, y), X, y) == ()


def test_a_fit_that_was_stopped_says_so():
    X, y = data()
    with pytest.warns(ConvergenceWarning):
        model = build(1.0, 3, 0).fit(X, y)
    (note,) = convergence_notes(model, X, y)
    assert note.startswith("not converged after 3 of 3 steps")


def test_a_minimum_that_was_missed_without_a_step_too_many_is_noticed():
    X, y = data()
    model = build(1.0, 5000, 0).fit(X, y)
    model.coef_ = model.coef_ + 0.01
    assert "not converged" in convergence_notes(model, X, y)[0]
