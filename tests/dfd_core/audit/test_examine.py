import pytest

from dfd_core.audit import AuditSpec, audit_manifests
from dfd_core.datasets.sources import FolderSource
from dfd_core.errors import DatasetError, ManifestError, UsageError
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.manifests.headers_stored import headers
from dfd_core.storage import Store


@pytest.mark.parametrize("near", [False, True])
def test_clean_data_has_no_finding(folder, clean, near, audit):
    found = audit(folder(clean), spec=AuditSpec(near_duplicates=near))
    assert found.findings == ()
    assert found.worst is None
    assert found.exit_code("info") == 0
    assert {(count.generator, count.n) for count in found.counts} == {("real: cam", 30), ("gan", 30)}
    alone = {score.prop: score.auroc for score in found.scores}
    assert alone["format"] == alone["jpeg_quality"] == alone["dimensions"] == 0.5
    assert abs(alone["bytes"] - 0.5) < 0.2


def test_exact_duplicates_by_what_they_cross(folder, clean, file, audit):
    same, twice, shared = file(100), file(101), file(102)
    one = folder(
        clean | {"cam/real/a.jpg": same, "gan/fake/a.jpg": same, "gan/fake/b.jpg": twice, "gan/fake/c.jpg": twice}
        | {"cam/real/s.jpg": shared}
    )  # fmt: skip
    other = folder({"cam/real/t.jpg": shared, "gan/fake/z.jpg": file(103)}, name="other")
    found = {(f.kind, f.where): f for f in audit(one, other).findings if f.kind.startswith("duplicates")}
    assert found["duplicates_across_labels", "set"].severity == "error"
    assert found["duplicates_across_labels", "set"].evidence == (
        "set/cam/real/a.jpg (real) = set/gan/fake/a.jpg (generated)",
    )
    assert found["duplicates", "set"].evidence == ("set/gan/fake/b.jpg = set/gan/fake/c.jpg",)
    across = found["duplicates_across_datasets", "other and set"]
    assert set(across.evidence[0].split(" = ")) == {"set/cam/real/s.jpg", "other/cam/real/t.jpg"}
    assert len(found) == 3


def test_evidence_shows_each_side_of_a_border_first(folder, clean, file, audit, kinds):
    same = file(100)
    many = {f"cam/real/a{i}.jpg": same for i in range(6)} | {"gan/fake/z.jpg": same}
    found = kinds(audit(folder(clean | many)))["duplicates_across_labels"]
    assert found.evidence == (
        "set/cam/real/a0.jpg (real) = set/gan/fake/z.jpg (generated) = set/cam/real/a1.jpg (real) = "
        "set/cam/real/a2.jpg (real) and 3 more",
    )


def test_empty_files_are_no_duplicates_of_each_other(folder, clean, audit, kinds):
    found = kinds(audit(folder(clean | {"cam/real/a.jpg": b"", "gan/fake/a.jpg": b""})))
    assert set(found) == {"empty"}


def test_near_duplicates_over_sizes_and_encodings_and_within_groups(folder, clean, file, audit, kinds):
    files = {
        "cam/real/n1_a.png": file(100, (200, 200), "PNG"), "gan/fake/n1_b.jpg": file(100, (90, 90), quality=60),
        "gan/fake/n2_a.jpg": file(101, (300, 300)), "gan/fake/n3_b.webp": file(101, kind="WEBP", quality=70),
    }  # fmt: skip
    place = folder(clean | files)
    found = kinds(audit(place, spec=AuditSpec()))
    assert found["near_duplicates_across_labels"].n == 2
    assert (
        "cam/real/n1_a.png (real) = set/gan/fake/n1_b.jpg (generated, "
        in found["near_duplicates_across_labels"].evidence[0]
    )
    assert found["near_duplicates"].n == 2
    grouped = kinds(audit(place, spec=AuditSpec(), pattern=r"(n\d)_"))
    assert "near_duplicates_across_labels" not in grouped
    assert grouped["near_duplicates"].n == 2
    exactly = kinds(audit(place, spec=AuditSpec(radius=0)))  # encoded again, each differs by a few bits
    assert not {kind for kind in exactly if kind.startswith("near_duplicates")}


def test_groups_by_pattern_and_by_bytes(folder, file, audit):
    files = {f"{place}/x{i}_{i}.jpg": file(2 * i + k) for i in range(9) for k, place in enumerate(("a/real", "b/fake"))}
    place = folder(files | {"a/real/x8_copy.jpg": files["a/real/x7_7.jpg"]})
    (groups,) = audit(place, pattern=r"x\d").groups
    assert (groups.files, groups.groups, groups.largest, groups.mixed) == (19, 8, 5, 8)
    (alone,) = audit(place).groups
    assert (alone.groups, alone.mixed) == (18, 0)
    with pytest.raises(ManifestError, match="finds nothing in any of 19 paths"):
        audit(place, pattern="q")


def test_a_pattern_that_can_not_be_searched_is_told_before_a_file_is_read(folder, clean, audit, tmp_path, monkeypatch):
    place = folder(clean)
    manifest = prepare(FolderSource(name="m", folders=str(place)), SplitSpec(), Store(tmp_path / "store"))
    path = tmp_path / "m.parquet"
    manifest.table.to_pandas().to_parquet(path)
    found = audit(path, folder({"cam/real/1.jpg": clean["cam/real/01.jpg"]}, "other"), pattern=r"real")
    assert {one.dataset: one.groups for one in found.groups} == {"m": 60, "other": 1}
    assert "kept the groups it has" in found.notes[0]
    from dfd_core.audit import reading

    monkeypatch.setattr(reading, "read_file", lambda url: pytest.fail("read"))
    with pytest.raises(UsageError, match=r"group_pattern '\(' is not a regular expression: missing \)"):
        audit(place, pattern="(")
    with pytest.raises(UsageError, match="m.parquet says itself in its column `group`"):
        audit(path, pattern="zzz")


def test_splits_of_manifests(folder, clean, file, audit, kinds, tmp_path):
    place = folder(clean | {"cam/real/a1.jpg": file(100), "cam/real/a2.jpg": file(100, quality=50)})
    manifest = prepare(FolderSource(name="m", folders=str(place)), SplitSpec(), Store(tmp_path / "store"))
    table = manifest.table.to_pandas(types_mapper={}.get)
    table.loc[table["path"] == "cam/real/a1.jpg", "split"] = "train"
    table.loc[table["path"] == "cam/real/a2.jpg", "split"] = "test"
    table.loc[(table["label"] == 0) & (table["split"] == "validation"), "split"] = "train"
    path = tmp_path / "m.parquet"
    table.to_parquet(path)
    found = kinds(audit(path, spec=AuditSpec()), "m")
    assert found["near_duplicates_across_splits"].severity == "error"
    assert found["near_duplicates_across_splits"].n == 2
    assert "a1.jpg (train) = m/cam/real/a2.jpg (test, " in found["near_duplicates_across_splits"].evidence[0]
    assert "validation has generated images only" in found["split_without_class"].message
    (place / "gan/fake/00.jpg").write_bytes(file(7, (50, 50)))
    assert kinds(audit(path), "m")["changed"].evidence[0].startswith("gan/fake/00.jpg")


def test_manifests_of_a_run_are_audited_from_kept_headers(folder, clean, tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    manifest = prepare(FolderSource(name="m", folders=str(folder(clean))), SplitSpec(), store)
    headers(store, manifest)  # as the shortcut probe does
    from dfd_core.audit import reading

    monkeypatch.setattr(reading, "read_file", lambda url: pytest.fail("read again"))
    first, _ = audit_manifests(store, [manifest], AuditSpec(near_duplicates=False))
    assert sum(count.n for count in first.counts) == 60
    assert {count.split for count in first.counts} == {"train", "validation", "test"}


def test_balance(folder, clean, file, audit, kinds):
    few = {path: data for path, data in clean.items() if "real" in path or path < "gan/fake/05.jpg"}
    found = kinds(audit(folder(few)))
    assert found["imbalance"].message == "30 real and 5 generated images."
    assert (found["few_files"].where, found["few_files"].n) == ("set/gan", 5)


def test_balance_is_judged_as_generators_are_paired(folder, file, audit):
    def written(sizes, name):
        paths = [f"{place}/{i}.jpg" for place, n in sizes.items() for i in range(n)]
        return folder({path: file(i) for i, path in enumerate(paths)}, name)

    own = {"a/real": 20, "a/fake": 90, "b/real": 90, "b/fake": 20}
    found = {f.where: f.message for f in audit(written(own, "own")).findings if f.kind == "imbalance"}
    assert found == {"own/a": "20 real and 90 generated images.", "own/b": "90 real and 20 generated images."}
    shared = {"cam/real": 20} | {f"g{i}/fake": 20 for i in range(5)}
    assert audit(written(shared, "shared")).findings == ()


def test_balance_is_judged_in_each_split(folder, clean, file, audit, tmp_path):
    more = {f"b/{label}/{i}.jpg": file(100 + 2 * i + k) for i in range(30) for k, label in enumerate(("real", "fake"))}
    place = folder({path.replace("cam", "gan"): data for path, data in clean.items()} | more)
    manifest = prepare(FolderSource(name="m", folders=str(place)), SplitSpec(), Store(tmp_path / "store"))
    table = manifest.table.to_pandas(types_mapper={}.get)
    table["split"] = "train"
    number = table["path"].str.extract(r"(\d+)\.jpg")[0].astype(int)
    table.loc[(table["path"].str.startswith("gan/fake")) & (number < 25), "split"] = "test"
    table.loc[(table["path"].str.startswith("gan/real")) & (number < 5), "split"] = "test"
    table.loc[(table["path"].str.startswith("b/fake")) & (number < 3), "split"] = "test"
    path = tmp_path / "m.parquet"
    table.to_parquet(path)
    found = {(f.kind, f.where): f for f in audit(path).findings}
    assert found.keys() == {("imbalance", "m/gan"), ("split_without_class", "m/b")}
    assert found["imbalance", "m/gan"].message == "In split test, 5 real and 25 generated images."
    assert found["imbalance", "m/gan"].evidence == ("In split train, 25 real and 5 generated images.",)
    assert found["split_without_class", "m/b"].message == "Split test has none of the reals that it is paired with."


def test_a_folder_of_datasets_is_several(folder, clean, file, audit, kinds):
    place = folder({f"one/{path}": data for path, data in clean.items()} | {"two/x/fake/1.png": file(200, kind="PNG")})
    found = audit(place)
    assert {count.dataset for count in found.counts} == {"one", "two"}
    assert kinds(found, "two").keys() == {"one_class"}


def test_without_labels_the_rest_is_audited(folder, file, audit, kinds):
    files = {f"x/{i}.jpg": file(i) for i in range(5)} | {"y/2.jpg": file(2), "empty.jpg": b""}
    found = audit(folder(files), spec=AuditSpec())
    assert kinds(found).keys() == {"no_labels", "duplicates", "empty"}
    assert found.scores == ()
    assert "nothing says which of its files are real" in found.notes[0]


def test_folders_of_one_name_are_told_apart(folder, clean, file, audit):
    one, two = folder(clean, "a/set"), folder({"cam/real/1.jpg": file(200), "gan/fake/1.jpg": file(201)}, "b/set")
    assert {count.dataset for count in audit(one, two).counts} == {str(one), str(two)}


def test_files_that_would_count_twice_are_an_error_that_names_both_places(folder, clean, audit, tmp_path):
    place, link = folder(clean), tmp_path / "link"
    link.symlink_to(place)
    for one, other, n in ((place, f"{place}/", 60), (place, place / "gan/fake", 30), (link, place, 60)):
        with pytest.raises(UsageError, match=rf"^{n} files are in both {one} and {other}, first {place}/\S+\.jpg, and"):
            audit(one, folder({"cam/real/1.jpg": clean["cam/real/01.jpg"]}, "other"), other)


def test_only_datasets_of_other_names_may_share_files(folder, clean, audit, tmp_path):
    place, store = folder(clean), Store(tmp_path / "store")
    paths = [
        store.url(prepare(FolderSource(name=name, folders=str(place)), SplitSpec(seed=seed), store).path)
        for name, seed in (("m", 0), ("m", 1), ("n", 0), ("set", 0))
    ]
    for one, other in ((paths[0], paths[1]), (place, paths[3])):
        with pytest.raises(UsageError, match="60 files are in both .* and would count twice"):
            audit(one, other)
    found = audit(paths[0], paths[2])
    assert [(one.kind, one.n) for one in found.findings] == [("duplicates_across_datasets", 120)]
    assert {score.n_real for score in found.scores} == {30}


def test_what_can_not_be_audited_is_an_error(folder, audit, tmp_path):
    with pytest.raises(ManifestError, match="There is no folder"):
        audit(tmp_path / "nowhere")
    with pytest.raises(ManifestError, match="There is no manifest"):
        audit(tmp_path / "nowhere.parquet")
    with pytest.raises(ManifestError, match="no image in the folder"):
        audit(folder({"a.txt": b"x"}))
    with pytest.raises(DatasetError, match="None of 2 files can be audited"):
        audit(folder({"cam/real/1.jpg": b"", "gan/fake/2.jpg": b"junk"}, "bad"))
