import logging

import pandas as pd
import pytest

from dfd_core.datasets.sources import FolderSource, TableSource
from dfd_core.errors import ManifestError
from dfd_core.manifests import SCHEMA, SplitSpec, build_manifest, reals_of, validate


def build(*folders, split=None, **options) -> pd.DataFrame:
    source = FolderSource(name="mine", folders=[str(f) for f in folders], **options)
    table = build_manifest(source, split or SplitSpec())
    assert validate(table).schema.equals(SCHEMA)
    paths = table["path"].to_pylist()
    assert paths == sorted(paths)
    return table.to_pandas()


def both(count: int) -> list[str]:
    return [f"{place}/{i:03}.png" for i in range(count) for place in ("ffhq/real", "stylegan/fake")]


def test_the_same_files_elsewhere_give_the_same_manifest_but_for_their_addresses(tmp_path, memory, put):
    frames = [build(put(url, both(30))).drop(columns="url") for url in (tmp_path / "x", tmp_path / "y" / "z", memory)]
    pd.testing.assert_frame_equal(frames[0], frames[1])
    pd.testing.assert_frame_equal(frames[0], frames[2])
    assert frames[0].groupby(["label", "split"]).size().to_list() == [3, 24, 3] * 2


def test_duplicates_stay_as_rows_in_one_group(tmp_path, put, png):
    put(tmp_path, both(30))
    put(tmp_path, {f"ffhq/real/copy{i}.png": png("ffhq/real/000.png") for i in range(3)})
    frame = build(tmp_path)
    same = frame[frame.duplicated("sample_id", keep=False)]
    assert len(same) == 4
    assert same["group"].nunique() == same["split"].nunique() == 1


def test_the_same_bytes_under_both_labels_are_an_error_that_names_both_files(tmp_path, put, png):
    put(tmp_path, both(3))
    put(tmp_path, {"stylegan/fake/copy.png": png("ffhq/real/001.png")})
    with pytest.raises(ManifestError, match=r"ffhq/real/001\.png \(real\) and stylegan/fake/copy\.png \(generated\)"):
        build(tmp_path)


def test_empty_and_broken_files_are_rows(tmp_path, put):
    put(tmp_path, both(10))
    put(tmp_path, {"ffhq/real/e.png": b"", "stylegan/fake/e.png": b"", "stylegan/fake/b.png": b"broken"})
    frame = build(tmp_path).set_index("path")
    assert len(frame) == 23
    bad = frame[frame["format"].isna()]
    assert list(bad.index) == ["ffhq/real/e.png", "stylegan/fake/b.png", "stylegan/fake/e.png"]
    assert bad["width"].isna().all()
    assert list(bad["size_bytes"]) == [0, 6, 0]
    assert bad["group"].nunique() == 3


def test_explicit_lists_are_followed_and_must_not_part_a_group(tmp_path, put):
    put(tmp_path / "set", both(4))
    lists = {"train": [p for p in both(4) if "3" not in p], "test": [p for p in both(4) if "3" in p]}
    for name, paths in lists.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(paths))
    splits = {name: str(tmp_path / f"{name}.txt") for name in lists}
    frame = build(tmp_path / "set", splits=splits)
    assert {name: sorted(part["path"]) for name, part in frame.groupby("split")} == {
        k: sorted(v) for k, v in lists.items()
    }
    with pytest.raises(ManifestError, match="on both sides of a split, first 'ffhq'"):
        build(tmp_path / "set", splits=splits, group_pattern="ffhq")


def test_a_table_with_groups_and_one_with_a_torn_group(tmp_path, put):
    put(tmp_path, both(20))
    rows = [f"{p},{int('fake' in p)},{p[-7:-4]}" for p in both(20)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,group", *rows]))
    table = build_manifest(TableSource(name="mine", table=str(tmp_path / "t.csv")), SplitSpec())
    frame = table.to_pandas()
    assert frame.groupby("group")["split"].nunique().to_list() == [1] * 20
    assert frame.groupby(["label", "split"]).size().to_list() == [2, 16, 2] * 2
    torn = [f"{row},{'test' if 'fake' in row else 'train'}" for row in rows]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,group,split", *torn]))
    with pytest.raises(ManifestError, match="20 groups are on both sides of a split"):
        build_manifest(TableSource(name="mine", table=str(tmp_path / "t.csv")), SplitSpec())


def test_published_splits_that_share_files_are_mended_towards_training(tmp_path, put, caplog):
    put(tmp_path, both(4))
    names = sorted(both(4))
    for copy, original in ((names[1], names[0]), (names[3], names[2])):
        (tmp_path / copy).write_bytes((tmp_path / original).read_bytes())
    published = dict(zip(names, ["test", "train", "validation", "test", *["train", "test"] * 2], strict=True))
    rows = [f"{name},{int('fake' in name)},{split}" for name, split in published.items()]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,split", *rows]))
    source = TableSource(name="mine", table=str(tmp_path / "t.csv"), torn_groups="earliest")
    with caplog.at_level(logging.WARNING):
        table = build_manifest(source, SplitSpec())
    found = dict(zip(table["path"].to_pylist(), table["split"].to_pylist(), strict=True))
    assert found == {**published, names[0]: "train", names[3]: "validation"}
    assert (
        f"2 files of the publisher's splits have their like in an earlier one (the same bytes, or the same group), so "
        f"they count there: {names[0]}, published for test, is in train" in caplog.text
    )


def test_paths_without_a_group_are_noted_in_the_log(tmp_path, put, caplog):
    put(tmp_path, [*both(5), "ffhq/real/other.png"])
    with caplog.at_level(logging.WARNING):
        build(tmp_path, group_pattern=r"\d+")
    assert caplog.messages == ["mine: group_pattern finds nothing in 1 of 11 paths, such as ffhq/real/other.png"]


@pytest.mark.parametrize(
    ("folder", "pattern", "groups"),
    [("horse2zebra256", r"n\d+_\d+", 50), ("pix2pix256", r"[a-z2]+__\d+", 40), ("faces256", None, 1000)],
)
def test_real_folders_split_by_group(folder, pattern, groups, reference_images):
    frame = build(reference_images / folder, group_pattern=pattern)
    assert frame["group"].nunique() == groups
    assert frame.groupby("group")["split"].nunique().max() == 1
    count = len(frame) // 2
    assert frame.groupby(["label", "split"]).size().to_list() == [count // 10, count * 8 // 10, count // 10] * 2
    assert set(frame["family"]) == {"real", "gan"}
    if pattern:
        assert frame.groupby("group")["label"].nunique().min() == 2


def test_photographs_are_paired_with_a_generator_from_another_folder(reference_images):
    frame = build(reference_images / "biggan128", reference_images / "photos")
    assert frame.groupby(["generator", "family"]).size().to_dict() == {("biggan", "gan"): 120, ("real", "real"): 84}
    assert frame["source"].value_counts().to_dict() == {"imagenet": 60, "cbsd68": 24}
    assert set(frame["path"].str.split("/").str[0]) == {"biggan128", "photos"}
    assert reals_of(frame, "biggan").sum() == 84
    assert set(frame["format"]) == {"PNG", "JPEG"}
