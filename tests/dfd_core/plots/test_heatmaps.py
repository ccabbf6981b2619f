import io
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dfd_core.evaluation.matrices import Matrix, Side
from dfd_core.evaluation.metrics import METRICS
from dfd_core.plots import heatmap, png
from dfd_core.plots.heatmaps import COLOURS, _colours

GROUP = {
    "backbone": "vit_large_patch14_clip_224.openai", "reducer": "standardize", "classifier": "nearest_neighbour",
    "seed": "0", "shuffled_labels": "False", "train_augmentation": "none", "test_augmentation": "jpeg_q75",
    "protocol": "cross_generator", "calibration": "none", "threshold_policy": "None",
}  # fmt: skip


def matrix(n_rows, n_columns, intervals=False, metric="auroc", **group):
    families = ["gan", "diffusion", "autoregressive", "surely_a_new_family"]
    sides = [Side("d", f"a_long_generator_name_{i}", families[4 * i // 30]) for i in range(30)]
    values = np.linspace(0.1, 1, n_rows * n_columns).reshape(n_rows, n_columns)
    values[-1, -1] = np.nan
    n = np.arange(n_rows * n_columns).reshape(values.shape)
    seen = np.eye(n_rows, n_columns, dtype=bool)
    ends = (values - 0.05, values + 0.02) if intervals else (values * np.nan,) * 2
    return Matrix(metric, GROUP | group, tuple(sides[:n_rows]), tuple(sides[:n_columns]), values, *ends, n, seen)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("intervals", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (6, 6), (9, 9), (1, 14), (14, 1), (30, 30)])
def test_every_label_lies_within_the_picture_and_none_on_another(shape, intervals):
    figure = heatmap(matrix(*shape, intervals=intervals))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    whole = figure.bbox
    labels = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label]
    for label in labels:
        box = label.get_window_extent()
        assert box.x0 >= whole.x0 - 1, label
        assert box.y0 >= whole.y0 - 1, label
        assert box.x1 <= whole.x1 + 1, label
        assert box.y1 <= whole.y1 + 1, label
    cells = [label.get_window_extent() for label in axes.texts if label.get_text()[0] in "0123456789["]
    title = figure._suptitle.get_window_extent()
    for index, box in enumerate(cells):
        assert not box.overlaps(title)
        assert not any(box.overlaps(other) for other in cells[index + 1 :])


def test_it_tells_values_means_families_and_what_was_run():
    figure = heatmap(matrix(6, 6))
    shown = texts(figure)
    assert {"10.0", "–", "gan"} <= set(shown)
    mean_of_first = np.linspace(0.1, 1, 36)[1:6].mean()
    assert shown[6] == f"{100 * mean_of_first:.1f}"
    title = figure._suptitle.get_text().replace("\n", " ")
    for part in (
        "AUROC",
        GROUP["backbone"],
        "standardize",
        "nearest_neighbour",
        "none in training",
        "jpeg_q75 in test",
    ):
        assert part in title
    assert "shuffled" in heatmap(matrix(2, 2, shuffled_labels="True"))._suptitle.get_text()


def test_below_chance_is_told_apart_from_above():
    (red, _, blue, _), (red_above, _, blue_above, _) = COLOURS(0.2), COLOURS(0.8)
    assert red > blue
    assert blue_above > red_above


def test_threads_draw_the_same_bytes():
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: png(heatmap(matrix(3, 3))), range(4)))
    assert len(set(pictures)) == 1
    assert Image.open(io.BytesIO(pictures[0])).size[0] > 500


def test_names_with_signs_of_formulas_are_drawn_as_they_are():
    one = np.ones((1, 1))
    odd = Matrix(
        "accuracy", GROUP, (Side("d", r"_$\frac$", "gan"),), (Side("d", "_x$y$", "gan"),), one, one, one, one, one > 2
    )
    assert png(heatmap(odd))


def test_intervals_and_n_stand_in_the_cells_where_there_is_room():
    assert "[5.0, 12.0]\nn=0" in texts(heatmap(matrix(3, 3, intervals=True)))
    assert not any("[" in text for text in texts(heatmap(matrix(12, 12, intervals=True))))


def test_where_lower_is_better_the_colours_are_the_other_way_round(monkeypatch):
    known = heatmap(matrix(2, 2)).axes[0].patches[0].get_facecolor()
    assert known == COLOURS(0.1)
    lower = SimpleNamespace(title="Error", short="err", higher_is_better=False)
    monkeypatch.setitem(METRICS._entries, "a_test_error", lower)
    assert _colours(matrix(2, 2, metric="a_test_error"))(0.1) == pytest.approx(COLOURS(0.9), abs=0.02)
