import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from dfd_core.evaluation import METRICS, Samples
from dfd_core.evaluation.matrices import tidy
from dfd_core.features.precision import PrecisionCheck
from dfd_core.plots.figures import blank
from dfd_core.reports import Picture, Section, Table, page, score_sections
from dfd_core.reports.report import write_report
from dfd_core.reports.score_sections import drawn_detectors, reliability_section
from dfd_core.reports.selection import select
from dfd_core.storage import Store


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_results_are_the_same_in_parquet_and_csv(written, report):
    stored = Store(written).read_table("results.parquet")
    assert stored.equals(report.results)
    csv = pd.read_csv(written / "results.csv", dtype={"run": str, "threshold_policy": str})
    assert csv["value"].dropna().tolist() == [
        value for value in report.results["value"].to_pylist() if value is not None
    ]
    provenance = Store(written).read_provenance("results.parquet")["protocol"]
    assert provenance == json.loads(report.protocol.model_dump_json())


def test_the_page_needs_nothing_beside_it_and_its_tags_are_closed(written):
    page = Page((written / "index.html").read_text())
    assert page.open == []
    assert page.links
    assert all(link.startswith(("data:image/png;base64,", "#section-")) for link in page.links)
    assert not re.search(r"https?://", (written / "index.html").read_text())


@pytest.mark.parametrize("name", ["index.html", "report.md"])
def test_people_are_told_what_was_run_what_failed_and_what_is_simulated(written, name):
    text = (written / name).read_text()
    head = text[: text.index("detectors, 3 generators")]
    assert "simulated" in head
    words = "".join(Page(text).words) if name == "index.html" else text
    for part in (
        "Threshold policy 0.5", "truncated", "ldm/test29", "1 of 2", "real (coco)", "n_excluded", "out of <memory>",
        "cross generator", "sim/laion", "oracle †", "chosen on the test set itself", "UnivFD", "unseen family",
        "coco+laion", "⚠", "validation samples of their own training sets",
    ):  # fmt: skip
        assert part.lower() in words.lower(), part
    assert re.search(r"\d\d\.\d \[\d\d\.\d, \d\d\.\d\] \(60\)", words)


def test_names_can_not_become_tags(written):
    text = (written / "index.html").read_text()
    assert "<b>" not in text
    assert "&lt;b&gt;gan|" in text
    assert "demo &amp; co" in text
    assert "<short>" not in text
    assert "<memory>" not in text


def test_every_picture_that_is_named_is_there_and_only_those(written):
    named = re.findall(r"\]\(figures/([^)]+)\)", (written / "report.md").read_text())
    assert sorted(named) == sorted(path.name for path in (written / "figures").iterdir())
    assert len(named) == len(set(named))
    for kind in (
        "auroc_",
        "robustness_",
        "roc_",
        "pr_",
        "det_",
        "reliability_",
        "scores_",
        "variance",
        "map_",
        "bars_",
    ):
        assert any(name.startswith(kind) for name in named), kind


def test_named_tables_are_there_in_three_forms(written):
    names = {path.stem for path in (written / "tables").iterdir()}
    expected = {"overview", "summary", "summary_by_training_set", "false_positives", "thresholds", "cells", "pairing"}
    assert expected < names
    for name in names:
        header = (written / f"tables/{name}.csv").read_text().splitlines()[0]
        assert f"\\label{{tab:{name}}}" in (written / f"tables/{name}.tex").read_text()
        assert header.split(",")[0].strip('"') in (written / f"tables/{name}.md").read_text()


def test_all_sections_are_in_the_contents(written):
    text = (written / "index.html").read_text()
    linked = re.findall(r'href="#(section-\d+)"', text)
    assert linked == re.findall(r'<section id="(section-\d+)"', text)
    assert len(linked) > 15


def test_results_alone_make_a_report(report, tmp_path):
    bare = replace(report, features={}, failures={"a": []}, heatmap_metrics=(), scores={}, published=None, pairing=())
    write_report(Store(tmp_path), "r", bare)
    text = (tmp_path / "r/report.md").read_text()
    assert "Every file has a vector" in text
    assert "Maps" not in text
    assert "ROC, precision-recall" not in text
    assert "published" not in text.lower()


def test_the_same_again_gives_the_same_page_and_pictures(written, report, tmp_path):
    write_report(Store(tmp_path), "r", report)
    for path in written.rglob("*.*"):
        if path.suffix != ".parquet":
            assert path.read_bytes() == (tmp_path / "r" / path.relative_to(written)).read_bytes()


def test_what_a_reduced_precision_costs_and_further_sections_are_told(report, written, tmp_path):
    check = PrecisionCheck("CLIP (bfloat16)", "bfloat16", "openvino 1", 16, 0.99995, 0.9993)
    more = Section("Hierarchies", ["By level."], [Table(("level", "accuracy"), (("family", "71.0"),))])
    also = {"precision": (check,), "sections": (more,)}
    write_report(Store(tmp_path), "r", replace(report, **also, scores={}, features={}, heatmap_metrics=()))
    for name in ("index.html", "report.md"):
        text = (tmp_path / "r" / name).read_text()
        for part in ("CLIP (bfloat16)", "0.999950", "0.999300", "Hierarchies", "71.0"):
            assert part in text
        assert "float32" not in (written / name).read_text()


class Shrunk:
    def apply(self, score):
        return 0.25 + score / 2


def test_scores_are_those_of_the_tested_generator_and_reliability_has_a_line_for_each_calibration(report, monkeypatch):
    frame = tidy(report.results)
    drawn = drawn_detectors(select(frame, report.scores, report.frame), report.scores, Samples(report.frame))
    assert len(drawn) == 4
    one = drawn[0]
    for (dataset, generator), (y, score) in one.sets.items():
        cell = frame[(frame["detector"] == one.name) & (frame["test_generator"] == generator)]
        (auroc,) = cell[(cell["metric"] == "auroc") & (cell["test_augmentation"] == "none")]["value"]
        assert (dataset, METRICS["auroc"].function(y, score, 0.5)) == ("sim", auroc)
    assert len(one.unseen()[0]) == 2 * 60
    assert sum("(seen)" in curve.label for curve in one.curves()) == 1
    assert one.thresholds(one.ordered()[0]) == {
        "0.5": 0.5, "validation": 0.44, "fpr_1pct": 0.91, "oracle (test set)": 0.47,
    }  # fmt: skip
    told = []
    monkeypatch.setattr(score_sections, "reliability", lambda lines, title: told.append(lines) or blank(3, 3)[0])
    reliability_section(drawn[:1], {one.name: {"platt": Shrunk()}})
    (lines,) = told
    assert [line[0] for line in lines] == ["before calibration", "after platt"]
    np.testing.assert_array_equal(lines[1][2], Shrunk().apply(lines[0][2]))


def test_a_page_has_a_largest_size_and_says_what_has_no_room(written):
    data = next((written / "figures").iterdir()).read_bytes()
    pictures = [Picture(f"p{i}.png", data + bytes(500_000), "caption") for i in range(40)]
    rows = tuple((str(i),) for i in range(1000))
    text = page.html("t", [Section("s", [], [Table(("a",), rows, name="long")], pictures)], (), ())
    assert len(text) < page.PICTURES_BYTES * 4 / 3 + 1e6
    assert text.count("<img") == page.PICTURES_BYTES // len(pictures[0].data)
    assert "in figures/p39.png" in text
    assert f"{page.MAX_ROWS} of 1000 rows shown" in text
