import io

import numpy as np
import pytest
from PIL import Image

from dfd_core.evaluation.hierarchy_confusion import Confusion, count
from dfd_core.evaluation.hierarchy_truth import Truth
from dfd_core.plots.confusion import confusion_figure
from dfd_core.plots.figures import png

FAMILIES = ("gan", "diffusion", "autoregressive", "surely_a_new_family")


def confusion(n_known, n_strangers, level="generator", n=7):
    known = [("real", "real")]
    known += [(f"a_long_generator_name_{i}", FAMILIES[4 * i // n_known]) for i in range(n_known)]
    truths = [Truth(name, family, True, name) for name, family in known for _ in range(n)]
    truths += [Truth(f"stranger_{i}", FAMILIES[i % 4], False, "unknown") for i in range(n_strangers) for _ in range(n)]
    answers = np.array([known[i % len(known)][0] for i in range(len(truths))], dtype=object)
    answers[::5] = "unknown"
    return count(("a hierarchy", "a test", level), truths, answers, known)


def shown(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("size", [(1, 0), (1, 1), (2, 1), (6, 2), (25, 4), (1, 12)])
def test_every_label_lies_within_the_picture_and_none_on_another(size):
    figure = confusion_figure(confusion(*size))
    figure.draw_without_rendering()
    axes, whole = figure.axes[0], figure.bbox
    labels = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label]
    for label in labels:
        box = label.get_window_extent()
        assert box.x0 >= whole.x0 - 1, label
        assert box.y0 >= whole.y0 - 1, label
        assert box.x1 <= whole.x1 + 1, label
        assert box.y1 <= whole.y1 + 1, label
    cells = [label.get_window_extent() for label in axes.texts if label.get_text().isdigit()]
    title = figure._suptitle.get_window_extent()
    beside = [label.get_window_extent() for label in axes.texts if "never seen" in label.get_text()]
    bar = figure.axes[1].get_window_extent()
    for index, box in enumerate(cells):
        assert not box.overlaps(title)
        assert not any(box.overlaps(other) for other in [*cells[index + 1 :], *beside])
    assert not any(box.overlaps(bar) for box in beside)


def test_it_tells_counts_names_families_and_strangers():
    found = confusion(4, 2)
    figure = confusion_figure(found)
    numbers = [int(text) for text in shown(figure) if text.isdigit()]
    assert sum(numbers) == found.counts.sum() == 7 * 7
    assert {"gan", "diffusion", "gan, never seen"} <= set(shown(figure))
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows[0] == "real (n=7)"
    assert rows[-1].startswith("stranger_")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()][-1] == "unknown"
    assert "generator, end to end" in figure._suptitle.get_text()


def test_above_the_generators_strangers_are_named_in_their_row():
    figure = confusion_figure(confusion(2, 1, level="family"))
    assert figure.axes[0].get_yticklabels()[-1].get_text() == "stranger_0, never seen (n=7)"
    assert all(text.isdigit() for text in shown(figure))


def test_large_counts_fit_their_cells():
    truth = (Truth("real", "real", True, "real"),)
    counts = np.array([[1_234_567, 99_999]])
    huge = Confusion("h", "t", "real", truth, (("real", "real"), ("unknown", "unknown")), counts)
    assert shown(confusion_figure(huge)) == ["1235k", "99999"]


def test_the_same_matrix_gives_the_same_bytes_also_read_again():
    found = confusion(3, 1)
    first = png(confusion_figure(found))
    assert png(confusion_figure(Confusion.from_json(found.as_json()))) == first
    assert Image.open(io.BytesIO(first)).size[0] > 500
