"""What an audit finds in files that are broken, cut, or full of zeros, and in those that only look so."""

import io

import pytest
from PIL import Image

from dfd_core.audit import AuditSpec, audit_places
from dfd_core.audit.sheets import contact_sheets


@pytest.mark.parametrize("near", [False, True])
def test_every_kind_of_broken_file_is_named(folder, clean, file, near, audit, kinds):
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


@pytest.mark.parametrize("near", [False, True])
def test_more_pixels_than_extraction_decodes_are_named_and_left_out_of_the_sheets(folder, clean, near, kinds):
    huge = io.BytesIO()
    Image.new("1", (10_001, 10_000)).save(huge, "PNG")
    place = folder(clean | {"gan/fake/huge.png": huge.getvalue()})
    found, evidence = audit_places([str(place)], AuditSpec(near_duplicates=near), None)
    finding = kinds(found)["too_many_pixels"]
    assert (finding.severity, finding.n) == ("warning", 1)
    assert finding.evidence == ("gan/fake/huge.png: 100,010,000 pixels",)
    assert finding.message == "1 of 61 files has more than 100 million pixels, and was not decoded."
    assert [sheet.title.split(": ")[1] for sheet in contact_sheets(evidence, 0)] == ["30 of 30 files"] * 2


def test_damage_that_only_a_decoder_sees(folder, clean, file, audit, kinds):
    data = bytearray(file(100, kind="PNG"))
    middle = data.index(b"IDAT") + 40
    data[middle : middle + 30] = b"\xff" * 30
    place = folder(clean | {"gan/fake/damaged.png": bytes(data)})
    assert "damaged" not in kinds(audit(place))
    found = kinds(audit(place, spec=AuditSpec()))["damaged"]
    assert (found.n, found.severity) == (1, "error")
    assert found.evidence[0].startswith("gan/fake/damaged.png: ")


def test_a_file_that_lacks_only_its_end_marker_is_judged_by_the_decoder(folder, clean, file, audit, kinds):
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
def test_zeros_in_place_of_pixels_are_found(folder, clean, file, near, audit, kinds):
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


def test_pixels_that_end_early_before_an_end_marker_are_found(folder, clean, file, audit, kinds):
    head, n = halves(file(100, (256, 256), quality=95))
    middle_missing = head[: n // 2 + 400] + file(100, (256, 256), quality=95)[n:]
    files = {"cut.jpg": head + b"\xff\xd9", "missing.jpg": middle_missing}
    found = kinds(audit(folder(clean | {f"gan/fake/{name}": data for name, data in files.items()}), spec=AuditSpec()))
    assert found.keys() == {"truncated"}
    assert [line.split(": its coded pixels end early")[0] for line in found["truncated"].evidence] == [
        "gan/fake/cut.jpg",
        "gan/fake/missing.jpg",
    ]


def test_a_progressive_file_without_its_last_scans_lacks_its_end(folder, clean, file, audit, kinds):
    head, _ = halves(file(100, (256, 256), quality=95, progressive=True))
    place = folder(clean | {"gan/fake/cut.jpg": head + b"\xff\xd9"})
    assert kinds(audit(place)).keys() == {"truncated"}
    assert kinds(audit(place, spec=AuditSpec())).keys() == {"no_end"}


def test_an_avif_file_that_was_cut_is_one(folder, clean, file, audit, kinds):
    head, _ = halves(file(100, kind="AVIF", speed=10))
    found = kinds(audit(folder(clean | {"gan/fake/cut.avif": head})))
    assert found.keys() == {"truncated"}
    assert found["truncated"].evidence == ("gan/fake/cut.avif: an AVIF file that ends before its last box does",)


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (255, 255, 255)])
def test_flat_pictures_and_grey_margins_are_whole(folder, clean, file, colour, audit, kinds):
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


def test_bytes_behind_an_image_are_told_but_those_of_an_index_are_not(folder, clean, file, audit, kinds):
    out = io.BytesIO()
    with Image.open(io.BytesIO(file(100))) as one, Image.open(io.BytesIO(file(101))) as other:
        one.save(out, "MPO", save_all=True, append_images=[other])
    twice = file(102) + file(102)
    found = kinds(audit(folder(clean | {"gan/fake/twice.jpg": twice, "gan/fake/mpo.jpg": out.getvalue()})))
    assert (found["trailing_bytes"].severity, found["trailing_bytes"].n) == ("info", 1)
    assert found["trailing_bytes"].evidence == (f"gan/fake/twice.jpg: {len(twice) // 2:,} bytes",)


@pytest.mark.parametrize("near", [False, True])
def test_a_wrong_check_sum_is_found_also_where_the_pixels_decode(folder, clean, file, near, audit, kinds):
    data = bytearray(file(100, kind="PNG"))
    start = data.index(b"IDAT")
    data[start + 4 + int.from_bytes(data[start - 4 : start])] ^= 1
    found = kinds(audit(folder(clean | {"gan/fake/sum.png": bytes(data)}), spec=AuditSpec(near_duplicates=near)))
    assert found.keys() == {"bad_chunk"}
    assert (found["bad_chunk"].severity, found["bad_chunk"].evidence) == (
        "warning",
        ("gan/fake/sum.png: the chunk IDAT",),
    )
