import dataclasses

import numpy as np
import pytest

from dfd_core.evaluation.comparison import delong, mcnemar
from dfd_core.evaluation.matrices import tidy
from dfd_core.evaluation.samples import Samples
from dfd_core.reports.paired_section import holm, paired_section
from dfd_core.reports.selection import select


def section_of(report):
    selection = select(tidy(report.results), report.scores, report.frame)
    return selection, paired_section(selection, report.scores, Samples(report.frame))


def test_every_pair_of_drawn_combinations_is_tested_on_every_test_set(report):
    selection, section = section_of(report)
    (table,) = section.tables
    pairs = len(selection.keys) * (len(selection.keys) - 1) // 2
    tests = report.frame.loc[report.frame["label"] == 1, "generator"].nunique()
    trained = {row[0] for row in table.rows}
    assert len(table.rows) == pairs * tests * len(trained)
    assert {row[2] for row in table.rows} == {"A - B", "A - C", "B - C"}
    assert section.text[0].startswith(f"A = {selection.title(selection.keys[0])}")


def test_a_row_is_the_test_of_the_two_detectors_on_the_samples_of_its_test_set(report):
    selection, section = section_of(report)
    row = section.tables[0].rows[0]
    generator = row[1].split("/", 1)[1]
    names = []
    for key in selection.keys[:2]:
        own = selection.of(key)
        (name,) = own.loc[own["train_generator"] == row[0].split("/", 1)[1], "detector"].unique()
        names.append(name)
    frame = report.frame[(report.frame["split"] == "test") & report.frame["generator"].isin(["real", generator])]
    scores = []
    for name in names:
        table = report.scores[name]
        own = table[(table["split"] == "test") & (table["test_augmentation"] == "none")].set_index("sample_id")["score"]
        scores.append(own[frame["sample_id"]].to_numpy())
    y = frame["label"].to_numpy()
    expected = delong(y, *scores), mcnemar(y, *(score > 0.5 for score in scores))
    assert row[3].split()[0] == f"{100 * expected[0].difference:+.1f}"
    assert row[5].split()[0] == f"{100 * expected[1].difference:+.1f}"
    assert row[-1] == str(len(frame))


def test_a_single_combination_is_compared_with_nothing(report):
    results = report.results.filter(np.array([name == "CLIP" for name in report.results["backbone"].to_pylist()]))
    (first, *_) = dict.fromkeys(zip(results["classifier"].to_pylist(), results["reducer"].to_pylist(), strict=True))
    keep = [
        pair == first for pair in zip(results["classifier"].to_pylist(), results["reducer"].to_pylist(), strict=True)
    ]
    alone = dataclasses.replace(report, results=results.filter(np.array(keep)))
    assert section_of(alone)[1] is None


@pytest.mark.parametrize(
    ("p", "expected"),
    [([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.5], [0.5]), ([0.9, 0.8], [1.0, 1.0]), ([0.02, 0.02], [0.04, 0.04])],
)
def test_holm_steps_down_and_never_falls(p, expected):
    np.testing.assert_allclose(holm(np.array(p)), expected)
