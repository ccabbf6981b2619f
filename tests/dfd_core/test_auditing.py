"""The audit as a step of a run: kept, held to, shown."""

import pytest

from dfd_core import in_process, pipeline
from dfd_core.audit import reading
from dfd_core.config import RunConfig
from dfd_core.errors import AuditError
from dfd_core.pipeline import auditing
from dfd_core.reports.audit_section import NONE_MADE
from dfd_core.reports.page import html
from dfd_core.storage import Store
from dfd_core.survey import survey


@pytest.fixture
def config(noise_images, tmp_path):
    """Reals are JPEG, fakes are PNG."""
    noise_images(tmp_path / "images", 24, {"cam/real": "jpg", "gan/fake": "png"})
    return RunConfig(
        name="audited", store=str(tmp_path / "store"), datasets=[{"name": "mine", "folders": str(tmp_path / "images")}],
        backbones=["spectrum"], augmentations=["none"], audit={},
    )  # fmt: skip


def more(config, **update):
    return RunConfig.model_validate(config.model_dump() | update)


def manifests_of(config):
    return pipeline.find_inputs(config).open(config)[0]


def test_an_audit_is_made_once_for_the_same_files_and_questions(config, monkeypatch):
    manifests = manifests_of(config)
    assert "audit: to be made before extraction" in survey(config)
    found = pipeline.audit(config, manifests)
    assert "audit: exists" in survey(config)
    assert "\naudit: " not in survey(more(config, audit=None))
    assert "shortcut" in {finding.kind for finding in found.findings}
    folder = pipeline.audit_folder(config, manifests)
    assert {"index.html", "audit.json", "sheets"} <= set(Store(config.store).names(folder))
    monkeypatch.setattr(auditing, "audit_manifests", lambda *_: pytest.fail("audited again"))
    assert pipeline.audit(config, manifests) == found
    strict = more(config, name="other", audit={"fail_on": "error"})
    assert pipeline.audit(strict, manifests) == found
    assert pipeline.audit_folder(more(config, audit={"radius": 3}), manifests) != folder
    assert pipeline.audit_folder(more(config, audit=None), manifests) is None
    assert pipeline.audit(more(config, audit=None), manifests) is None


def test_findings_end_a_run_before_extraction_where_the_configuration_says_so(config):
    strict = more(config, audit={"fail_on": "error"})
    inputs = pipeline.find_inputs(strict)
    with pytest.raises(
        AuditError, match=r"audit.fail_on is error: 1\. mine/gan: shortcut\..*audits/mine-\w+/index.html"
    ):
        in_process.extract(strict, inputs)
    assert not Store(config.store).names("features")
    in_process.extract(config, inputs)
    assert Store(config.store).names("features")


def test_files_that_could_not_be_read_are_looked_for_again_when_asked(config, monkeypatch):
    manifests = manifests_of(config)
    read = reading.read_file
    monkeypatch.setattr(reading, "read_file", lambda url: read(url if "7" not in url[-6:] else "/nowhere"))
    broken = pipeline.audit(config, manifests)
    assert "missing" in {finding.kind for finding in broken.findings}
    monkeypatch.setattr(reading, "read_file", read)
    assert pipeline.audit(config, manifests) == broken
    again = pipeline.audit(more(config, retry_failed=True), manifests)
    assert "missing" not in {finding.kind for finding in again.findings}


def test_an_audit_that_was_made_anew_gives_another_report(config, monkeypatch):
    manifests = manifests_of(config)
    assert auditing.audit_facts(more(config, audit=None), manifests) is None
    none_yet = auditing.audit_facts(config, manifests)
    read = reading.read_file
    monkeypatch.setattr(reading, "read_file", lambda url: read(url if "7" not in url[-6:] else "/nowhere"))
    pipeline.audit(config, manifests)
    broken = auditing.audit_facts(config, manifests)
    monkeypatch.setattr(reading, "read_file", read)
    retrying = more(config, retry_failed=True)
    pipeline.audit(retrying, manifests)
    whole = auditing.audit_facts(config, manifests)
    assert none_yet[0] == broken[0] == whole[0]
    assert len({tuple(facts) for facts in (none_yet, broken, whole)}) == 3
    Store(config.store).fs.rm(f"{config.store}/{whole[0]}", recursive=True)
    pipeline.audit(config, manifests)
    assert auditing.audit_facts(config, manifests) == whole  # the same findings at another time


def test_a_report_says_what_was_found_or_that_nobody_looked(config):
    manifests = manifests_of(config)
    assert pipeline.report_section(config, manifests).text == [NONE_MADE]
    pipeline.audit(config, manifests)
    section = pipeline.report_section(config, manifests)
    assert section.text[0] == "Findings: 1 error, 0 warning, 0 info."
    (table,) = section.tables
    assert table.rows[0][:3] == ("error", "shortcut", "mine/gan")
    page = html("x", [section], [], [])
    assert f'<a href="../../{pipeline.audit_folder(config, manifests)}/index.html">' in page
    assert pipeline.report_section(more(config, audit=None), manifests).text == [NONE_MADE]
