import io
import json
import re

import pytest
from PIL import Image

from dfd_core.audit import Audit, AuditSpec, audit_places, write_audit
from dfd_core.audit.findings import Histogram
from dfd_core.audit.page import page, score_table
from dfd_core.audit.sheets import contact_sheets
from dfd_core.manifests.headers_vector import PROPERTIES
from dfd_core.storage import Store


@pytest.fixture
def audited(folder, clean, file):
    broken = {"gan/fake/<b>cut</b>.jpg": file(100)[:1500], "cam/real/empty.jpg": b""}
    png = {f"pix/fake/{i}.png": file(200 + i, kind="PNG") for i in range(25)}
    return audit_places([str(folder(clean | broken | png))], AuditSpec())


def test_the_page_is_whole_in_itself_and_escapes_names(audited, tmp_path):
    audit, evidence = audited
    address = write_audit(Store(tmp_path / "out"), "", audit, list(contact_sheets(evidence, 0)), "Audit <x>")
    text = (tmp_path / "out/index.html").read_text()
    assert address.endswith("/out/index.html")
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "<b>cut</b>" not in text
    assert "&lt;b&gt;cut&lt;/b&gt;" in text
    assert "<title>Audit &lt;x&gt;</title>" in text
    assert 'name="viewport"' in text
    for finding in audit.findings:
        assert finding.kind.replace("_", " ") in text
    assert text.count("data:image/jpeg;base64,") == 3
    assert text.count('<div class="scroll" tabindex="0"><img ') == 3


def test_names_are_code_and_backticks_of_paths_stay(audited):
    audit, _ = audited
    finding = audit.findings[0].model_copy(update={"message": "a ` b <i>", "advice": "Use `x <y>`, then `z`."})
    text = page(audit.model_copy(update={"findings": (finding,), "notes": ()}), [], "t", "f")
    assert "<p>a ` b &lt;i&gt;</p>" in text
    assert "<p>→ Use <code>x &lt;y&gt;</code>, then <code>z</code>.</p>" in text


def test_all_properties_together_come_first_and_those_that_say_nothing_are_named(audited):
    audit, _ = audited
    header, rows, silent = score_table(audit.scores)
    assert header[:4] == ("dataset", "generator", "all", "format")
    alone = {score.prop: score.auroc for score in audit.scores if score.generator == "pix"}
    (row,) = [row for row in rows if row[1] == "pix"]
    assert row[2:4] == (f"{alone['all']:.2f}", f"{alone['format']:.2f}")
    assert row[-2:] == ("30", "25")
    assert {"dimensions", "icc", "exif", "ai metadata"} <= set(silent)
    assert not set(silent) & set(header)
    assert len(silent) + len(header) == 4 + 1 + len(PROPERTIES)


def test_there_is_a_bar_only_where_there_are_files(audited):
    audit, _ = audited
    histogram = Histogram(dataset="d", prop="format", rows=(("JPEG", 3, 0), ("PNG", 1, 999)))
    text = page(audit.model_copy(update={"histograms": (histogram,)}), [], "t", "f")
    shown = re.findall(r'class="bar( \w+)?" style="width:([\d.]+)%"', text)
    assert shown == [(" real", "75.0"), ("", "0.0"), (" real", "25.0"), (" fake", "100.0")]


def test_the_json_is_the_audit(audited, tmp_path):
    audit, _ = audited
    write_audit(Store(tmp_path), "deep/er", audit)
    values = json.loads((tmp_path / "deep/er/audit.json").read_text())
    assert values.pop("provenance")["dfd"]
    assert Audit.model_validate(values) == audit


def test_sheets_of_an_earlier_audit_at_the_same_place_are_removed_and_nothing_else(audited, tmp_path):
    audit, evidence = audited
    sheets = list(contact_sheets(evidence, 0))
    for folder in ("", "deep/er"):
        out = tmp_path / "out" / folder
        write_audit(Store(tmp_path / "out"), folder, audit, sheets)
        (out / "sheets/mine.png").write_bytes(b"x")
        (out / f"sheets/{sheets[2].name}.png").unlink()
        write_audit(Store(tmp_path / "out"), folder, audit, sheets[:1])
        assert {path.name for path in (out / "sheets").iterdir()} == {f"{sheets[0].name}.png", "mine.png"}
        write_audit(Store(tmp_path / "out"), folder, audit, sheets[1:2])
        assert {path.name for path in (out / "sheets").iterdir()} == {f"{sheets[1].name}.png", "mine.png"}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"provenance": {"sheets": 3}}', '{"provenance": {"sheets": [[]]}}'])
def test_what_stands_in_the_place_of_an_earlier_audit_is_replaced_whatever_it_is(audited, tmp_path, text):
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets/mine.png").write_bytes(b"x")
    (tmp_path / "audit.json").write_text(text)
    write_audit(Store(tmp_path), "", audited[0])
    assert "findings" in json.loads((tmp_path / "audit.json").read_text())
    assert (tmp_path / "sheets/mine.png").exists()


def test_sheets_show_each_generator_and_leave_out_what_is_broken(audited):
    _, evidence = audited
    sheets = {sheet.name.rpartition("-")[0]: sheet for sheet in contact_sheets(evidence, 0)}
    assert set(sheets) == {"set_gan", "set_pix", "set_real_cam"}
    assert sheets["set_gan"].title == "set / gan: 30 of 30 files"
    for sheet in sheets.values():
        with Image.open(io.BytesIO(sheet.png)) as image:
            assert image.size == (8 * 132 + 4, 4 * 132 + 4)
    assert [sheet.png for sheet in contact_sheets(evidence, 0)] == [sheet.png for sheet in sheets.values()]


def test_transparent_and_deep_pictures_are_shown_as_viewers_show_them(folder):
    import numpy as np

    def png(image):
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue()

    clear, deep = Image.new("RGBA", (64, 64), (0, 0, 0, 0)), Image.fromarray(np.full((64, 64), 40_000, np.uint16))
    place = folder({"a/real/1.png": png(clear), "a/fake/1.png": png(deep)})
    _, evidence = audit_places([str(place)], AuditSpec(near_duplicates=False))
    colours = []
    for sheet in contact_sheets(evidence, 0):
        with Image.open(io.BytesIO(sheet.png)) as image:
            colours.append(image.getpixel((68, 68)))
    assert sorted(colours) == [(155, 155, 155), (255, 255, 255)]
