"""Curves, robustness, reliability, histograms, variance and bars: the right numbers, in a picture that can be read."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm
from sklearn.metrics import precision_recall_curve, roc_curve

from dfd_core.augmentations import AugmentationSpec
from dfd_core.augmentations.presets import AUGMENTATIONS
from dfd_core.augmentations.steps import GaussianBlur, Jpeg
from dfd_core.plots import (
    Bar,
    Curve,
    Line,
    Point,
    Scores,
    Severity,
    Variance,
    bars,
    det,
    histograms,
    png,
    precision_recall,
    reliability,
    robustness,
    roc,
    scree,
    severity_of,
    variance_of,
)
from dfd_core.plots.curves import rates
from dfd_core.plots.figures import line_style
from dfd_core.plots.reliability import binned

NAMES = [f"a_generator_with_a_long_name_{i}" for i in range(23)]


def scored(n=60, distance=2.0, seed=0):
    generator = np.random.default_rng(seed)
    y = np.repeat([0, 1], n)
    return y, 1 / (1 + np.exp(-(generator.normal(size=2 * n) + distance * (y - 0.5)))).round(2)


def lines(n):
    kinds = {"jpeg quality": (95, 75, 50, 30), "gaussian_blur sigma": (1, 2, 4), "crop share": (0.9, 0.5)}
    points = [Point(Severity(kind, value), 0.9, 0.86, 0.93) for kind, values in kinds.items() for value in values]
    return [Line(name, (Point(None, 0.99, 0.97, 1.0), *points)) for name in NAMES[:n]]


FIGURES = {
    "roc": lambda: roc([Curve(name, *scored(seed=i)) for i, name in enumerate(NAMES)], "what was run " * 9),
    "pr": lambda: precision_recall([Curve(name, *scored(seed=i)) for i, name in enumerate(NAMES)]),
    "det": lambda: det([Curve(name, *scored(seed=i)) for i, name in enumerate(NAMES)]),
    "robustness": lambda: robustness(lines(23), "auroc", "what was run"),
    "reliability": lambda: reliability([(name, *scored(seed=i)) for i, name in enumerate(NAMES[:3])]),
    "histograms": lambda: histograms([Scores(name, *scored(), {"0.5": 0.5, "oracle": 0.4}) for name in NAMES]),
    "scree": lambda: scree([variance_of(name, np.random.default_rng(0).normal(size=(40, 30))) for name in NAMES]),
    "bars": lambda: bars([Bar(a, b, 0.8, 0.7, 0.9) for a in NAMES for b in ("none", "pca", "standardize")], "accuracy"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_says_what_it_leaves_out_is_narrow_and_has_the_same_bytes_again(name):
    figure = FIGURES[name]()
    assert figure.get_figwidth() < 5
    assert name == "reliability" or " of 23 " in figure._suptitle.get_text()
    data = png(figure)
    assert data == png(FIGURES[name]())
    assert Image.open(io.BytesIO(data)).size[0] > 500


@pytest.mark.parametrize("name", FIGURES)
def test_letters_can_be_read_lie_within_the_picture_and_not_on_one_another(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    whole = figure.bbox
    texts = [figure._suptitle, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        if axes.axison:
            texts += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = []
    for text in (text for text in texts if text.get_text().strip() and text.get_visible()):
        assert text.get_fontsize() >= 7.5
        box = text.get_window_extent()
        assert box.x0 >= whole.x0 - 1, text
        assert box.x1 <= whole.x1 + 1, text
        assert box.y0 >= whole.y0 - 1, text
        assert box.y1 <= whole.y1 + 1, text
        boxes.append((text.get_text(), box.padded(-1.5)))
    for (one, box), (other, other_box) in itertools.combinations(boxes, 2):
        assert not box.overlaps(other_box), (one, other)


def test_curves_go_through_the_points_of_scikit_learn():
    y, score = scored(distance=1.0)
    found = rates(y, score)
    false, true, _ = roc_curve(y, score, drop_intermediate=False)
    np.testing.assert_allclose([found.false_positive, found.true_positive], [false, true])
    precision, recall, _ = precision_recall_curve(y, score)
    np.testing.assert_allclose(found.true_positive[::-1][: len(recall)], recall)
    np.testing.assert_allclose(found.precision[::-1][: len(precision)], precision)


def test_the_equal_error_rate_lies_on_the_curve_where_both_errors_are_equal():
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert rates(y, np.array([0.1, 0.2, 0.3, 0.8, 0.25, 0.7, 0.9, 0.95])).equal_error() == 0.25
    assert rates(y, y.astype(float)).equal_error() == 0
    assert rates(y, np.ones(8)).equal_error() == 0.5


def test_normal_scores_give_a_straight_line_on_det_axes():
    generator = np.random.default_rng(0)
    score = np.concatenate([generator.normal(size=20_000), generator.normal(2, 1, 20_000)])
    figure = det([Curve("normal", np.repeat([0, 1], 20_000), score)])
    x, y = figure.axes[0].lines[2].get_data()
    inner = (np.abs(x) < 1.5) & (np.abs(y) < 1.5)
    np.testing.assert_allclose(x[inner] + y[inner], -2, atol=0.06)
    entry = figure.legends[0].get_texts()[0].get_text()
    assert float(entry.split("EER ")[1].split()[0]) == pytest.approx(100 * norm.cdf(-1), abs=0.5)


def test_legends_have_the_areas_and_what_can_not_be_drawn_is_named():
    y, score = scored()
    for draw, short in ((roc, "AUROC"), (precision_recall, "AP"), (det, "EER")):
        figure = draw([Curve("good", y, score), Curve("only reals", y * 0, score), Curve("nothing", y[:0], score[:0])])
        (entry,) = [text.get_text() for text in figure.legends[0].get_texts()]
        assert entry.startswith(f"good: {short} ")
        assert "(n=120)" in entry
        assert "only reals, nothing" in figure._suptitle.get_text()
        assert png(draw([]))


def test_ten_lines_differ_in_colour_or_dashes():
    assert len({(one["color"], str(one["linestyle"])) for one in map(line_style, range(27))}) == 27


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((Jpeg(quality=(75, 75)),), Severity("jpeg quality", 75)),
        ((GaussianBlur(sigma=(2, 2)),), Severity("gaussian_blur sigma", 2)),
        ((Jpeg(quality=(30, 90)),), None),
        ((Jpeg(quality=(75, 75), probability=0.5),), None),
        ((Jpeg(quality=(75, 75)), GaussianBlur(sigma=(1, 1))), None),
    ],
)
def test_a_severity_is_one_step_of_one_strength(steps, expected):
    assert severity_of(AugmentationSpec(name="x", steps=steps)) == expected


def test_unchanged_images_begin_every_panel_and_mild_changes_stand_left():
    assert severity_of(AUGMENTATIONS["none"]) is None
    figure = robustness(lines(1), "auroc")
    jpeg, blur, crop = figure.axes[:3]
    assert [axes.get_title(loc="left") for axes in (jpeg, blur, crop)] == [
        "JPEG quality", "blur, sigma in pixels", "crop, share kept",
    ]  # fmt: skip
    for axes, marks in ((jpeg, [95, 75, 50, 30]), (blur, [1, 2, 4]), (crop, [0.9, 0.5])):
        x, y = axes.lines[0].get_data()
        assert list(x[1:]) == marks
        assert y[0] == 99
        shown = axes.transData.transform(np.column_stack([x, y]))[:, 0]
        assert (np.diff(shown) > 0).all()
        assert axes.get_xticklabels()[0].get_text() == "none"
    assert robustness([Line("x", (Point(None, 0.9),))], "auroc") is None
    assert png(robustness([Line("x", (Point(Severity("jpeg quality", 75), 0.9),))], "auroc"))


def test_bins_of_a_reliability_diagram():
    found = binned(np.array([0, 1, 1, 1, 0]), np.array([0.05, 0.1, 0.11, 1.0, 0.19]))
    assert found.n.tolist() == [1, 3, 0, 0, 0, 0, 0, 0, 0, 1]
    assert found.share[1] == pytest.approx(2 / 3)
    assert found.score[1] == pytest.approx(0.4 / 3)
    assert np.isnan(found.share[2])
    # Wilson's interval of 2 of 3
    assert (found.low[1], found.high[1]) == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert found.low[9] == pytest.approx(0.2065, abs=1e-4)
    assert found.high[9] == pytest.approx(1)
    assert png(reliability([]))


def test_histograms_are_shares_of_each_label_and_thresholds_are_lines():
    y, score = scored(n=50)
    more = np.concatenate([y, np.zeros(400, dtype=int)]), np.concatenate([score, np.full(400, 0.1)])
    figure = histograms([Scores("g", *more, {"0.5": 0.5, "fpr_1pct": 0.93})])
    filled = [patch for patch in figure.axes[0].patches if patch.get_fill()]
    assert [float(patch.get_data().values.sum()) for patch in filled] == pytest.approx([100, 100])
    assert sorted(line.get_xdata()[0] for line in figure.axes[0].lines) == [0.5, 0.93]
    assert figure.axes[0].get_title(loc="left") == "g (50 / 450)"
    assert png(histograms([Scores("only reals", y[:3] * 0, score[:3])]))
    assert png(histograms([]))


def test_variance_counts_the_components_for_each_share():
    X = np.zeros((8, 5))
    X[:2, 0], X[2:4, 1], X[4:6, 2] = (3, -3), (1, -1), (0.5, -0.5)
    found = variance_of("b", X)
    np.testing.assert_allclose(found.shares[:3], np.array([9, 1, 0.25]) / 10.25)
    assert found.needed() == (2, 2, 3)
    assert (found.n, found.dimension) == (8, 5)
    assert variance_of("same", np.ones((4, 3))).shares.size == 0
    assert "b: 2, 2, 3 of 5 (n=8)" in scree([found]).legends[0].get_texts()[0].get_text()
    assert png(scree([variance_of("same", np.ones((4, 3)))]))
    assert png(scree([Variance("one", np.ones(1), 2, 1)]))


def test_bars_have_the_highest_first_and_gaps_where_nothing_was_measured():
    figure = bars([Bar("a", "none", 0.6), Bar("b", "none", 0.9, 0.8, 0.95), Bar("b", "pca", float("nan"))], "accuracy")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert [patch.get_width() for patch in axes.patches] == [60, 90]
    assert [text.get_text() for text in axes.texts] == ["60.0", "90.0"]
    assert png(bars([], "accuracy"))
