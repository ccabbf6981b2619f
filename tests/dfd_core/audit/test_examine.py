import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dfd_core.audit import AuditSpec, audit_manifests, audit_places
from dfd_core.audit.confounds import auroc_by_groups
from dfd_core.datasets.sources import FolderSource
from dfd_core.errors import DatasetError, ManifestError, UsageError
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.manifests.headers_stored import headers
from dfd_core.manifests.headers_vector import PROPERTIES
from dfd_core.storage import Store

HEADERS_ONLY = AuditSpec(near_duplicates=False)


def audit(*places, spec=HEADERS_ONLY, pattern=None):
    return audit_places([str(place) for place in places], spec, pattern)[0]


def kinds(found, dataset="set"):
    return {finding.kind: finding for finding in found.findings if finding.where.startswith(dataset)}


@pytest.mark.parametrize("near", [False, True])
def test_clean_data_has_no_finding(folder, clean, near):
    found = audit(folder(clean), spec=AuditSpec(near_duplicates=near))
    assert found.findings == ()
    assert found.worst is None
    assert found.exit_code("info") == 0
    assert {(count.generator, count.n) for count in found.counts} == {("real: cam", 30), ("gan", 30)}
    alone = {score.prop: score.auroc for score in found.scores}
    assert alone["format"] == alone["jpeg_quality"] == alone["dimensions"] == 0.5
    assert abs(alone["bytes"] - 0.5) < 0.2


@pytest.mark.parametrize("near", [False, True])
def test_every_kind_of_broken_file_is_named(folder, clean, file, near):
    whole = file(100)
    place = folder(
        clean | {
            "cam/real/empty.jpg": b"", "cam/real/page.jpg": b"<html>404</html>", "gan/fake/cut.jpg": whole[:1500],
            "gan/fake/cut.png": file(101, kind="PNG")[:-300], "gan/fake/really.png": file(102),
        }
    )  # fmt: skip
    (place / "cam/real/link.jpg").symlink_to(place / "nowhere.jpg")
    found = kinds(audit(place, spec=AuditSpec(near_duplicates=near)))
    names = {kind: finding.evidence for kind, finding in found.items()}
    assert names["empty"] == ("cam/real/empty.jpg: the file has 0 bytes",)
    assert names["undecodable"][0].startswith("cam/real/page.jpg: its header is damaged")
    assert [line.split(":")[0] for line in names["truncated"]] == ["gan/fake/cut.jpg", "gan/fake/cut.png"]
    assert names["misnamed"] == ("gan/fake/really.png: is JPEG",)
    assert names["missing"][0].startswith("cam/real/link.jpg")
    assert found["misnamed"].severity == "warning"
    assert {found[kind].severity for kind in ("empty", "undecodable", "truncated", "missing")} == {"error"}
    assert found["empty"].message == "1 of 66 files has 0 bytes."
    assert found["misnamed"].message == "1 of 66 files is of another format than its extension says."
    assert found["truncated"].message == "2 of 66 files end before their image does."


def test_damage_that_only_a_decoder_sees(folder, clean, file):
    data = bytearray(file(100, kind="PNG"))
    middle = data.index(b"IDAT") + 40
    data[middle : middle + 30] = b"\xff" * 30
    place = folder(clean | {"gan/fake/damaged.png": bytes(data)})
    assert "damaged" not in kinds(audit(place))
    found = kinds(audit(place, spec=AuditSpec()))["damaged"]
    assert (found.n, found.severity) == (1, "error")
    assert found.evidence[0].startswith("gan/fake/damaged.png: ")


def test_a_file_that_lacks_only_its_end_marker_is_judged_by_the_decoder(folder, clean, file):
    files = {"marker.jpg": file(100)[:-2] + bytes(200), "marker.png": file(101, kind="PNG")[:-12]}
    place = folder(clean | {f"gan/fake/{name}": data for name, data in files.items()})
    assert kinds(audit(place))["truncated"].n == 2
    found = kinds(audit(place, spec=AuditSpec()))
    assert found.keys() == {"no_end"}
    assert (found["no_end"].severity, found["no_end"].n) == ("warning", 2)
    assert found["no_end"].message == "2 of 62 files lack their end, though their pixels decode."


def halves(data):
    """The first half of a file, and how much follows."""
    return data[: len(data) // 2], len(data) - len(data) // 2


@pytest.mark.parametrize("near", [False, True])
def test_zeros_in_place_of_pixels_are_found(folder, clean, file, near):
    kinds_of = [("a.jpg", "JPEG", {}), ("b.jpg", "JPEG", {"progressive": True}), ("c.webp", "WEBP", {})]
    files = {}
    for name, kind, options in [*kinds_of, ("d.avif", "AVIF", {"speed": 10})]:
        head, n = halves(file(100, (256, 256), kind, quality=95, **options))
        middle = n - 200 if kind == "JPEG" else n
        files[f"gan/fake/{name}"] = head + bytes(middle) + file(100, (256, 256), kind, quality=95, **options)[-200:]
    found = kinds(audit(folder(clean | files), spec=AuditSpec(near_duplicates=near)))
    named = {line.split(":")[0] for kind in ("zeros", "truncated") if kind in found for line in found[kind].evidence}
    assert named == files.keys()
    assert {found[kind].severity for kind in ("zeros", "truncated") if kind in found} == {"error"}


def test_pixels_that_end_early_before_an_end_marker_are_found(folder, clean, file):
    head, n = halves(file(100, (256, 256), quality=95))
    middle_missing = head[: n // 2 + 400] + file(100, (256, 256), quality=95)[n:]
    files = {"cut.jpg": head + b"\xff\xd9", "missing.jpg": middle_missing}
    found = kinds(audit(folder(clean | {f"gan/fake/{name}": data for name, data in files.items()}), spec=AuditSpec()))
    assert found.keys() == {"truncated"}
    assert [line.split(": its coded pixels end early")[0] for line in found["truncated"].evidence] == [
        "gan/fake/cut.jpg",
        "gan/fake/missing.jpg",
    ]


def test_a_progressive_file_without_its_last_scans_lacks_its_end(folder, clean, file):
    head, _ = halves(file(100, (256, 256), quality=95, progressive=True))
    place = folder(clean | {"gan/fake/cut.jpg": head + b"\xff\xd9"})
    assert kinds(audit(place)).keys() == {"truncated"}
    assert kinds(audit(place, spec=AuditSpec())).keys() == {"no_end"}


def test_an_avif_file_that_was_cut_is_one(folder, clean, file):
    head, _ = halves(file(100, kind="AVIF", speed=10))
    found = kinds(audit(folder(clean | {"gan/fake/cut.avif": head})))
    assert found.keys() == {"truncated"}
    assert found["truncated"].evidence == ("gan/fake/cut.avif: an AVIF file that ends before its last box does",)


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (255, 255, 255)])
def test_flat_pictures_and_grey_margins_are_whole(folder, clean, file, colour):
    files = {}
    for i, options in enumerate([{}, {"optimize": True}, {"progressive": True}, {"restart_marker_blocks": 4}]):
        with Image.open(io.BytesIO(file(i))) as image:
            foot = Image.new("RGB", (1600, 1200 + i), colour)
            for name, picture in (("flat", foot), ("foot", foot.copy())):
                if name == "foot":
                    picture.paste(image)
                out = io.BytesIO()
                picture.save(out, "JPEG", **options)
                files[f"gan/fake/{name}{i}.jpg"] = out.getvalue()
    found = kinds(audit(folder(clean | files), spec=AuditSpec(shortcut_auroc=1, radius=0)))
    assert {kind for kind in found if not kind.startswith(("near", "short"))} == set()


def test_bytes_behind_an_image_are_told_but_those_of_an_index_are_not(folder, clean, file):
    out = io.BytesIO()
    with Image.open(io.BytesIO(file(100))) as one, Image.open(io.BytesIO(file(101))) as other:
        one.save(out, "MPO", save_all=True, append_images=[other])
    twice = file(102) + file(102)
    found = kinds(audit(folder(clean | {"gan/fake/twice.jpg": twice, "gan/fake/mpo.jpg": out.getvalue()})))
    assert (found["trailing_bytes"].severity, found["trailing_bytes"].n) == ("info", 1)
    assert found["trailing_bytes"].evidence == (f"gan/fake/twice.jpg: {len(twice) // 2:,} bytes",)


@pytest.mark.parametrize("near", [False, True])
def test_a_wrong_check_sum_is_found_also_where_the_pixels_decode(folder, clean, file, near):
    data = bytearray(file(100, kind="PNG"))
    start = data.index(b"IDAT")
    data[start + 4 + int.from_bytes(data[start - 4 : start])] ^= 1
    found = kinds(audit(folder(clean | {"gan/fake/sum.png": bytes(data)}), spec=AuditSpec(near_duplicates=near)))
    assert found.keys() == {"bad_chunk"}
    assert (found["bad_chunk"].severity, found["bad_chunk"].evidence) == (
        "warning",
        ("gan/fake/sum.png: the chunk IDAT",),
    )


def test_exact_duplicates_by_what_they_cross(folder, clean, file):
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


def test_evidence_shows_each_side_of_a_border_first(folder, clean, file):
    same = file(100)
    many = {f"cam/real/a{i}.jpg": same for i in range(6)} | {"gan/fake/z.jpg": same}
    found = kinds(audit(folder(clean | many)))["duplicates_across_labels"]
    assert found.evidence == (
        "set/cam/real/a0.jpg (real) = set/gan/fake/z.jpg (generated) = set/cam/real/a1.jpg (real) = "
        "set/cam/real/a2.jpg (real) and 3 more",
    )


def test_empty_files_are_no_duplicates_of_each_other(folder, clean):
    found = kinds(audit(folder(clean | {"cam/real/a.jpg": b"", "gan/fake/a.jpg": b""})))
    assert set(found) == {"empty"}


def test_near_duplicates_over_sizes_and_encodings_and_within_groups(folder, clean, file):
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


def test_groups_by_pattern_and_by_bytes(folder, file):
    files = {f"{place}/x{i}_{i}.jpg": file(2 * i + k) for i in range(9) for k, place in enumerate(("a/real", "b/fake"))}
    place = folder(files | {"a/real/x8_copy.jpg": files["a/real/x7_7.jpg"]})
    (groups,) = audit(place, pattern=r"x\d").groups
    assert (groups.files, groups.groups, groups.largest, groups.mixed) == (19, 8, 5, 8)
    (alone,) = audit(place).groups
    assert (alone.groups, alone.mixed) == (18, 0)
    with pytest.raises(ManifestError, match="finds nothing in any of 19 paths"):
        audit(place, pattern="q")


def test_a_pattern_that_can_not_be_searched_is_told_before_a_file_is_read(folder, clean, tmp_path, monkeypatch):
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


def test_splits_of_manifests(folder, clean, file, tmp_path):
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
    first, _ = audit_manifests(store, [manifest], HEADERS_ONLY)
    assert sum(count.n for count in first.counts) == 60
    assert {count.split for count in first.counts} == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("options", "prop"),
    [
        ({"kind": "PNG"}, "format"),
        ({"quality": 95}, "jpeg_quality"),
        ({"subsampling": "4:4:4"}, "chroma_subsampling"),
        ({"progressive": True}, "progressive"),
        ({"size": (128, 96)}, "dimensions"),
    ],
)
def test_a_planted_shortcut_is_named_with_its_evidence(folder, clean, file, options, prop):
    fakes = {path: file(i, **options) for i, path in enumerate(clean) if "fake" in path}
    found = audit(folder(clean | fakes))
    alone = {score.prop: score.auroc for score in found.scores}
    assert alone[prop] == alone["all"] == 1.0
    shortcut = kinds(found, "set/gan")["shortcut"]
    assert (shortcut.severity, shortcut.n) == ("error", 60)
    assert f"{prop} 1.00" in shortcut.message
    assert "`matched`" in shortcut.advice
    assert any(line.startswith(f"{prop}: ") and "30 of 30" in line for line in shortcut.evidence)
    assert found.exit_code("error") == found.exit_code("warning") == 3
    assert found.exit_code(None) == 0


def test_channels_are_a_shortcut_only_where_they_differ(folder, clean, file):
    def told(encode):
        found = audit(folder({path: encode(i) for i, path in enumerate(clean) if "fake" in path} | reals))
        return {score.prop: score.auroc for score in found.scores}, kinds(found, "set/gan")["shortcut"]

    def with_palette(seed):
        out = io.BytesIO()
        Image.open(io.BytesIO(file(seed))).quantize(200).save(out, "PNG")
        return out.getvalue()

    reals = {path: file(100 + i, kind="PNG") for i, path in enumerate(clean) if "real" in path}
    scores, found = told(file)  # 3 x 8 bits, as the reals have
    assert (scores["format"], scores["png_colour_type"], scores["channels"]) == (1.0, 1.0, 0.5)
    assert "channels" not in found.message
    assert "8-bit RGB" not in found.advice
    assert any(line == "png_colour_type: 'RGB' in 30 of 30 real, 0 of 30 generated files" for line in found.evidence)
    scores, found = told(with_palette)
    assert (scores["format"], scores["png_colour_type"], scores["channels"]) == (0.5, 1.0, 1.0)
    assert "8-bit RGB" in found.advice


def test_size_in_bytes_has_medians_as_its_evidence(folder, clean):
    fakes = {path: data + bytes(200) for path, data in clean.items() if "fake" in path}  # within one bin
    found = audit(folder(clean | fakes))
    (score,) = [score for score in found.scores if score.prop == "bytes"]
    sizes = [
        np.median([len(data) for path, data in (clean | fakes).items() if label in path]) for label in ("real", "fake")
    ]
    assert score.medians[0] == pytest.approx(("bytes", *sizes), abs=2)
    assert score.medians[1] == pytest.approx(("bytes per pixel", *(size / 96**2 for size in sizes)), abs=1e-3)
    lines = kinds(found, "set/gan")["shortcut"].evidence
    _, real, fake = score.medians[0]
    assert lines[0] == f"bytes: median {real:,.0f} of real, {fake:,.0f} of generated files"
    assert lines[1].startswith("bytes per pixel: median 0.")
    assert [score.medians for score in found.scores if score.prop != "bytes"] == [()] * 14


def test_each_generator_is_compared_with_its_own_reals(folder, file):
    files = {f"a/real/{i}.jpg": file(i) for i in range(20)} | {f"a/fake/{i}.jpg": file(50 + i) for i in range(20)}
    files |= {f"b/real/{i}.png": file(100 + i, kind="PNG") for i in range(20)}
    files |= {f"b/fake/{i}.png": file(150 + i, kind="PNG") for i in range(20)}
    found = audit(folder(files))
    assert {(s.generator, s.auroc) for s in found.scores if s.prop == "format"} == {("a", 0.5), ("b", 0.5)}
    assert "shortcut" not in {finding.kind for finding in found.findings}


def test_balance(folder, clean, file):
    few = {path: data for path, data in clean.items() if "real" in path or path < "gan/fake/05.jpg"}
    found = kinds(audit(folder(few)))
    assert found["imbalance"].message == "30 real and 5 generated images."
    assert (found["few_files"].where, found["few_files"].n) == ("set/gan", 5)


def test_balance_is_judged_as_generators_are_paired(folder, file):
    def written(sizes, name):
        paths = [f"{place}/{i}.jpg" for place, n in sizes.items() for i in range(n)]
        return folder({path: file(i) for i, path in enumerate(paths)}, name)

    own = {"a/real": 20, "a/fake": 90, "b/real": 90, "b/fake": 20}
    found = {f.where: f.message for f in audit(written(own, "own")).findings if f.kind == "imbalance"}
    assert found == {"own/a": "20 real and 90 generated images.", "own/b": "90 real and 20 generated images."}
    shared = {"cam/real": 20} | {f"g{i}/fake": 20 for i in range(5)}
    assert audit(written(shared, "shared")).findings == ()


def test_balance_is_judged_in_each_split(folder, clean, file, tmp_path):
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


def test_a_folder_of_datasets_is_several(folder, clean, file):
    place = folder({f"one/{path}": data for path, data in clean.items()} | {"two/x/fake/1.png": file(200, kind="PNG")})
    found = audit(place)
    assert {count.dataset for count in found.counts} == {"one", "two"}
    assert kinds(found, "two").keys() == {"one_class"}


def test_without_labels_the_rest_is_audited(folder, file):
    files = {f"x/{i}.jpg": file(i) for i in range(5)} | {"y/2.jpg": file(2), "empty.jpg": b""}
    found = audit(folder(files), spec=AuditSpec())
    assert kinds(found).keys() == {"no_labels", "duplicates", "empty"}
    assert found.scores == ()
    assert "nothing says which of its files are real" in found.notes[0]


def test_folders_of_one_name_are_told_apart(folder, clean, file):
    one, two = folder(clean, "a/set"), folder({"cam/real/1.jpg": file(200), "gan/fake/1.jpg": file(201)}, "b/set")
    assert {count.dataset for count in audit(one, two).counts} == {str(one), str(two)}


def test_files_that_would_count_twice_are_an_error_that_names_both_places(folder, clean, tmp_path):
    place, link = folder(clean), tmp_path / "link"
    link.symlink_to(place)
    for one, other, n in ((place, f"{place}/", 60), (place, place / "gan/fake", 30), (link, place, 60)):
        with pytest.raises(UsageError, match=rf"^{n} files are in both {one} and {other}, first {place}/\S+\.jpg, and"):
            audit(one, folder({"cam/real/1.jpg": clean["cam/real/01.jpg"]}, "other"), other)


def test_only_datasets_of_other_names_may_share_files(folder, clean, tmp_path):
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


def test_what_can_not_be_audited_is_an_error(folder, tmp_path):
    with pytest.raises(ManifestError, match="There is no folder"):
        audit(tmp_path / "nowhere")
    with pytest.raises(ManifestError, match="There is no manifest"):
        audit(tmp_path / "nowhere.parquet")
    with pytest.raises(ManifestError, match="no image in the folder"):
        audit(folder({"a.txt": b"x"}))
    with pytest.raises(DatasetError, match="None of 2 files can be audited"):
        audit(folder({"cam/real/1.jpg": b"", "gan/fake/2.jpg": b"junk"}, "bad"))


def test_scores_are_cross_validated_by_group():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    y = (groups % 2).astype(int)
    X = np.repeat(rng.normal(size=(40, 1)), 5, axis=0).astype(np.float32)  # says which group it is, and nothing else
    assert abs(auroc_by_groups(X, y, groups, 0) - 0.5) < 0.25
    assert auroc_by_groups(X, y, np.arange(200), 0) > 0.85
    assert auroc_by_groups(X + 10 * y[:, None], y, groups, 0) == 1.0
    assert auroc_by_groups(X, y, np.where(y == 1, 0, groups), 0) is None


def test_noise_says_nothing_on_average():
    rng = np.random.default_rng(0)
    y = (np.arange(120) % 2).astype(int)
    found = [auroc_by_groups(rng.normal(size=(120, 3)).astype(np.float32), y, np.arange(120), 0) for _ in range(20)]
    assert abs(np.mean(found) - 0.5) < 0.04


def test_histograms_count_every_readable_file(folder, clean, file):
    found = audit(folder(clean | {"gan/fake/x.png": file(99, kind="PNG"), "gan/fake/y.png": b""}))
    by_prop = {
        histogram.prop: {value: (real, fake) for value, real, fake in histogram.rows} for histogram in found.histograms
    }
    assert by_prop["format"] == {"JPEG": (30, 30), "PNG": (0, 1)}
    assert by_prop["quantisation_tables"] == {"libjpeg's of 75": (30, 30), "–": (0, 1)}
    assert by_prop["markers"] == {"JFIF": (30, 30), "–": (0, 1)}
    assert by_prop.keys() == {*PROPERTIES, "software"}
    assert by_prop["dimensions"] == {"96 x 96": (30, 31)}
    for histogram in found.histograms:
        assert histogram.totals() == (30, 31), histogram.prop


def test_numbers_stand_in_their_order(folder, file):
    sizes = [(50, 50), (50, 100), (100, 50), (9, 50)]
    files = {
        f"{place}/{i}.jpg": file(i, sizes[i % 4], quality=8 + i) for i in range(8) for place in ("a/real", "b/fake")
    }
    files |= {f"b/fake/more{i}.jpg": file(30 + i, (100, 50), quality=12) for i in range(4)}
    found = audit(folder(files | {"b/fake/x.png": file(50, (300, 300), "PNG")}))
    values = {histogram.prop: [row[0] for row in histogram.rows] for histogram in found.histograms}
    assert values["dimensions"] == ["9 x 50", "50 x 50", "50 x 100", "100 x 50", "300 x 300"]
    assert values["jpeg_quality"] == ["8", "9", "10", "11", "12", "13", "14", "15", "–"]
    assert values["bytes"][0] == "512 to 1024 B"
    assert values["bytes"][-1].endswith("KiB")


def test_many_values_are_cut_to_the_frequent_ones(folder, file):
    files = {f"{place}/{i}.jpg": file(i, (60 + i, 50)) for i in range(30) for place in ("a/real", "b/fake")}
    found = audit(folder(files))
    (dimensions,) = [histogram for histogram in found.histograms if histogram.prop == "dimensions"]
    assert len(dimensions.rows) == 13
    assert dimensions.rows[-1][0] == "other"
    assert dimensions.totals() == (30, 30)
    assert pd.DataFrame(dimensions.rows)[0].is_unique
