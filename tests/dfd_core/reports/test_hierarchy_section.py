import io

import numpy as np
import pytest
from PIL import Image

from dfd_core.detectors.hierarchy_rows import HierarchyRows
from dfd_core.detectors.hierarchy_spec import HierarchySpec
from dfd_core.evaluation.hierarchy import fit_and_evaluate_hierarchy
from dfd_core.reports.hierarchy_section import hierarchy_section

FAMILY = {"glide_50": "diffusion", "glide_100": "diffusion", "ldm": "diffusion", "progan": "gan"}


def rows(families, seed, n=40):
    rng = np.random.default_rng(seed)
    names = np.repeat(["real", *families], n).astype(object)
    X = rng.normal(size=(len(names), 8))
    for place, name in enumerate(["glide_50", "glide_100", "ldm", "progan"]):
        X[names == name, place] += 6
        X[names == name, 4] += 6
    ids = np.array([f"{seed}/{i}" for i in range(len(names))], dtype=object)
    family = np.array([families.get(name, "real") for name in names], dtype=object)
    return HierarchyRows(X.astype(np.float32), (names != "real").astype(int), family, names, ids, ids)


@pytest.fixture(scope="module")
def section():
    spec = HierarchySpec(name="two|steps", merge={"glide": ["glide_*"]})
    tests = {"seen": rows(FAMILY, 1), "all": rows(FAMILY | {"flux": "diffusion"}, 2)}
    return hierarchy_section(fit_and_evaluate_hierarchy(spec, rows(FAMILY, 0), tests))


def test_it_says_how_decisions_are_made(section):
    assert section.title == "Hierarchy two|steps"
    assert "Subfamily glide: glide_100, glide_50." in section.text
    assert any("progan is its only class" in line for line in section.text)
    decisions = {(row[0], row[1]): row for row in section.tables[0].rows}
    assert decisions["real", "–"][2:] == (
        "logistic_regression", "one classifier", "real (40), generated (160)", "0.5",
    )  # fmt: skip
    assert decisions["generator", "diffusion"][4] == "glide (80), ldm (40)"
    assert decisions["generator", "diffusion"][5].endswith("(5pct)")
    assert decisions["generator", "gan"][2:] == ("nothing", "trivial", "progan (40)", "–")


def test_every_test_has_a_table_and_three_pictures(section):
    assert [table.caption for table in section.tables] == ["Decisions", "seen, in %", "all, in %"]
    for table in section.tables[1:]:
        assert len(table.rows) == 10
        assert table.markdown()
    without, with_strangers = ({row[:3]: row for row in table.rows} for table in section.tables[1:])
    assert without["generator", "end to end", "unseen"][3:] == ("–", "–", "–", "–", "0")
    assert with_strangers["generator", "end to end", "unseen"][-1] == "40"
    assert len(section.pictures) == len({picture.name for picture in section.pictures}) == 6
    for picture in section.pictures:
        assert Image.open(io.BytesIO(picture.data)).format == "PNG"
        assert "two|steps" in picture.caption
