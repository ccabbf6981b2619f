import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from dfd_core.errors import EvaluationError
from dfd_core.evaluation.calibration import LEAST_SLOPE, Calibrator, fit_calibration, log_odds
from dfd_core.evaluation.metrics import METRICS

SCORE = st.one_of(st.integers(0, 1000).map(lambda i: i / 1000), st.sampled_from([1e-9, 1 - 1e-9]))
SAMPLES = st.lists(st.tuples(st.integers(0, 1), SCORE), min_size=2, max_size=40).filter(
    lambda samples: {0, 1} == {label for label, _ in samples}
)
GRID = np.linspace(0, 1, 501)


def overconfident(n=3000, sharpness=4.0, seed=0):
    """Scores whose log-odds are `sharpness` times as large as they should be, and a bit off."""
    generator = np.random.default_rng(seed)
    probability = generator.random(n)
    y = (generator.random(n) < probability).astype(int)
    odds = sharpness * np.log(probability / (1 - probability)) + 1
    return y, 1 / (1 + np.exp(-odds))


@pytest.mark.parametrize("kind", ["none", "platt", "isotonic"])
@given(SAMPLES)
def test_calibrators_never_fall_and_stay_probabilities(kind, samples):
    y, score = (np.array(column) for column in zip(*samples, strict=True))
    found = fit_calibration(kind, y, score).apply(GRID)
    assert found.dtype == np.float64
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()


@given(SAMPLES)
def test_platt_keeps_the_order_of_scores(samples):
    y, score = (np.round(column, 3) for column in zip(*samples, strict=True))
    found = fit_calibration("platt", y, score).apply(score)
    assume(found.max() < 1 - 1e-9)  # nearer to 1 the next float64 may be the same
    assert (np.diff(found[np.argsort(score)]) > 0).tolist() == (np.diff(np.sort(score)) > 0).tolist()
    for name in ("auroc", "average_precision", "eer"):
        assert METRICS[name].function(y, found, 0.5) == METRICS[name].function(y, score, 0.5)


@given(SAMPLES)
@example([(0, 0.0)] * 4 + [(1, 0.0)])  # equal log-odds whose mean is another number
def test_platt_is_the_most_likely_logistic_curve(samples):
    y, score = (np.array(column) for column in zip(*samples, strict=True))
    found = fit_calibration("platt", y, score)
    n_fake, n_real = (y == 1).sum(), (y == 0).sum()
    target = np.where(y == 1, (n_fake + 1) / (n_fake + 2), 1 / (n_real + 2))
    residual = target - found.apply(score)
    assert abs(residual.sum()) < 1e-6 * len(y)
    if not found.note:
        assert abs(residual @ log_odds(score)) < 1e-6 * len(y)
    else:
        assert found.slope == LEAST_SLOPE
        assert residual @ log_odds(score) < 1e-6 * len(y)  # a smaller slope would be more likely still


def test_platt_agrees_with_scikit_learn():
    y, score = overconfident(500)
    found = fit_calibration("platt", y, score)
    high, low = (y.sum() + 1) / (y.sum() + 2), 1 / ((1 - y).sum() + 2)
    target = np.where(y == 1, high, low)
    z = np.concatenate([log_odds(score)] * 2)[:, np.newaxis]
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        z, np.repeat([1, 0], len(y)), sample_weight=np.concatenate([target, 1 - target])
    )
    assert (found.slope, found.offset) == pytest.approx((oracle.coef_[0, 0], oracle.intercept_[0]), rel=1e-5)


def test_isotonic_is_scikit_learns():
    y, score = overconfident(500)
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score, y)
    np.testing.assert_allclose(fit_calibration("isotonic", y, score).apply(GRID), model.predict(GRID), atol=1e-12)


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_calibration_helps_where_scores_are_overconfident(kind):
    y, score = overconfident()
    fresh_y, fresh = overconfident(seed=1)
    found = fit_calibration(kind, y, score).apply(fresh)
    for name in ("ece", "brier"):
        before, after = (METRICS[name].function(fresh_y, values, 0.5) for values in (fresh, found))
        assert after < before - 0.02
    assert METRICS["ece"].function(fresh_y, found, 0.5) < 0.05


def test_platt_leaves_probabilities_alone():
    y, score = overconfident(20_000, sharpness=1.0)
    score = np.exp(np.log(score / (1 - score)) - 1)
    score = score / (1 + score)
    found = fit_calibration("platt", y, score)
    assert (found.slope, found.offset) == pytest.approx((1, 0), abs=0.05)


def test_votes_of_zero_and_one_do_not_rule_the_fit():
    y = np.repeat([0, 0, 1, 1], [95, 5, 5, 95])
    found = fit_calibration("platt", y, np.repeat([0.0, 1.0, 0.0, 1.0], [95, 5, 5, 95]))
    assert found.apply(np.array([0.0, 1.0])) == pytest.approx([0.06, 0.94], abs=0.01)


def test_a_detector_is_not_turned_round():
    y = np.repeat([0, 1], 50)
    found = fit_calibration("platt", y, np.where(y == 1, 0.2, 0.8))
    assert found.slope == LEAST_SLOPE
    assert "no higher than reals" in found.note
    assert found.apply(np.array([0.0, 1.0])) == pytest.approx([0.5, 0.5], abs=0.01)


@pytest.mark.parametrize("kind", ["none", "platt", "isotonic"])
def test_calibrators_are_plain_numbers(kind):
    found = fit_calibration(kind, *overconfident(200))
    again = Calibrator.model_validate_json(found.model_dump_json())
    assert again == found
    assert np.array_equal(again.apply(GRID), found.apply(GRID))
    assert found.n_validation == (0 if kind == "none" else 200)


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_one_label_is_not_enough(kind):
    for y in ([], [1, 1]):
        with pytest.raises(EvaluationError, match=f"0 real and {len(y)} generated"):
            fit_calibration(kind, np.array(y), np.full(len(y), 0.5))
