import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from dfd_core.evaluation import RESULTS_SCHEMA
from dfd_core.features.precision import PrecisionCheck
from dfd_core.reports import write_report
from dfd_core.storage import Store


@pytest.fixture(scope="module")
def written(report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    assert write_report(Store(folder), "reports/demo", report) == str(folder / "reports/demo/index.html")
    return folder / "reports/demo"


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
    assert stored.schema.equals(RESULTS_SCHEMA)
    assert stored.equals(report.results)
    csv = pd.read_csv(written / "results.csv", dtype={"run": str, "threshold_policy": str}, keep_default_na=False)
    assert csv["value"].astype(float).tolist() == report.results["value"].to_pylist()
    assert Store(written).read_provenance("results.parquet")["protocol"] == {
        "train_augmentations": None, "test_augmentations": None, "min_samples_per_class": 2,
    }  # fmt: skip


def test_the_page_needs_nothing_beside_it_and_its_tags_are_closed(written):
    page = Page((written / "index.html").read_text())
    assert page.open == []
    assert page.links
    assert all(link.startswith(("data:image/png;base64,", "#section-")) for link in page.links)
    assert not re.search(r"https?://", (written / "index.html").read_text())


@pytest.mark.parametrize("name", ["index.html", "report.md"])
def test_people_are_told_what_was_run_what_failed_and_what_is_simulated(written, name):
    text = (written / name).read_text()
    head = text[: text.index("Results on unseen")]
    assert "simulated" in head
    words = "".join(Page(text).words) if name == "index.html" else text
    for part in ("Threshold policy 0.5", "truncated", "ldm/test19", "1 of 2", "real (coco)", "n_excluded"):
        assert part in words
    assert re.search(r"\d\d\.\d \(40\)", words)


def test_names_can_not_become_tags(written):
    text = (written / "index.html").read_text()
    assert "<b>" not in text
    assert "&lt;b&gt;gan|" in text
    assert "demo &amp; co" in text
    assert "<short>" not in text


def test_every_picture_that_is_named_is_there_and_only_those(written):
    named = re.findall(r"\]\(figures/([^)]+)\)", (written / "report.md").read_text())
    assert sorted(named) == sorted(path.name for path in (written / "figures").iterdir())
    assert len(named) == len(set(named)) == 2 * 2 + 2


def test_without_features_and_failures_there_are_no_maps_and_it_says_that_nothing_failed(report, tmp_path):
    write_report(Store(tmp_path), "r", replace(report, features={}, failures={"a": []}, heatmap_metrics=()))
    text = (tmp_path / "r/report.md").read_text()
    assert "Every file has a vector" in text
    assert "Maps" not in text


def test_the_same_again_gives_the_same_page_and_pictures(written, report, tmp_path):
    write_report(Store(tmp_path), "r", report)
    for name in ("index.html", "report.md", "results.md", "results.csv"):
        assert (tmp_path / "r" / name).read_bytes() == (written / name).read_bytes()


def test_what_a_reduced_precision_costs_is_told_where_there_is_one(report, written, tmp_path):
    check = PrecisionCheck("CLIP (bfloat16)", "bfloat16", "openvino 1", 16, 0.99995, 0.9993)
    write_report(Store(tmp_path), "r", replace(report, precision=(check,)))
    for name in ("index.html", "report.md"):
        text = (tmp_path / "r" / name).read_text()
        assert "CLIP (bfloat16)" in text
        assert "0.999950" in text
        assert "0.999300" in text
        assert "Precision" not in (written / name).read_text()
