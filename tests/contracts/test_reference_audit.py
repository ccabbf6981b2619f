"""What the audit finds in real photographs and real generators' images."""

import pytest

from dfd_core.audit import AuditSpec, audit_places
from dfd_core.audit.hashing import near_sets

NAMES = ("faces256", "format_shortcut", "horse2zebra256", "pix2pix256")
NEAR = ("near_duplicates", "near_duplicates_across_datasets", "near_duplicates_across_labels")


@pytest.fixture(scope="module")
def audited(reference_images):
    places = [str(reference_images / name) for name in NAMES]
    return audit_places(places, AuditSpec(), r"(n\d+_\d+|[^/]+__\d+)_")


def alone(audit, dataset):
    return {score.prop: score.auroc for score in audit.scores if score.dataset == dataset}


def test_format_shortcut_is_separable_by_its_jpeg_properties(audited):
    audit, _ = audited
    scores = alone(audit, "format_shortcut")
    for prop in ("jpeg_quality", "quantisation_tables", "progressive", "all"):
        assert scores[prop] >= 0.99
    assert scores["format"] == scores["dimensions"] == scores["chroma_subsampling"] == 0.5
    (found,) = [f for f in audit.findings if f.kind == "shortcut" and f.where.startswith("format_shortcut")]
    assert found.severity == "error"
    for prop in ("jpeg_quality", "quantisation_tables", "progressive"):
        assert f"{prop} 1.00" in found.message


def test_the_photographs_that_are_in_two_collections_are_found_and_no_other(audited):
    audit, evidence = audited
    (found,) = [f for f in audit.findings if f.kind == "near_duplicates_across_datasets"]
    assert (found.where, found.n) == ("faces256 and format_shortcut", 34)
    sets = near_sets(evidence.hashes, 24)
    rows = evidence.frame.assign(set=sets, stem=evidence.frame["path"].str.extract(r"(\d+)\.jpg$")[0])
    rows = rows[rows.duplicated("set", keep=False)]
    faces = rows.groupby("set").filter(lambda members: members["dataset"].nunique() > 1)
    assert faces["set"].nunique() == 17
    assert faces.groupby("set").size().eq(2).all()
    assert faces["stem"].astype(int).groupby(faces["set"]).nunique().eq(1).all()
    assert near_sets(evidence.hashes[faces.index], 8).max() == 16
    # all others are a horse and the zebra made of it, or two frames of one horse
    assert set(rows["dataset"].drop(faces.index)) == {"horse2zebra256"}


def test_unrelated_pictures_are_never_paired(reference_images):
    audit, _ = audit_places([str(reference_images)], AuditSpec(), r"n\d+_\d+")
    near = [f for f in audit.findings if f.kind.startswith("near_duplicates")]
    assert [(f.where, f.n) for f in near] == [("faces256 and format_shortcut", 34), ("horse2zebra256", 4)]


def test_clean_collections_have_their_scores(audited):
    audit, _ = audited
    for name, by_bytes in (("faces256", 0.473), ("horse2zebra256", 0.68), ("pix2pix256", 0.719)):
        scores = alone(audit, name)
        assert {scores[prop] for prop in scores if prop not in ("bytes", "all")} == {0.5}
        assert scores["bytes"] == pytest.approx(by_bytes, abs=0.02)
        assert scores["all"] == scores["bytes"]


def test_no_file_is_called_broken(audited):
    audit, _ = audited
    assert {one.kind for one in audit.findings} <= {"shortcut", "few_files", *NEAR}


def test_every_pair_is_one_group_when_told_the_pattern(audited):
    audit, _ = audited
    groups = {one.dataset: one for one in audit.groups}
    horses, facades = groups["horse2zebra256"], groups["pix2pix256"]
    assert (horses.files, horses.groups, horses.largest, horses.mixed) == (100, 50, 2, 50)
    assert (facades.files, facades.groups, facades.largest, facades.mixed) == (80, 40, 2, 40)
    assert groups["faces256"].groups == 1000
