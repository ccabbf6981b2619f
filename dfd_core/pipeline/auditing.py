"""The audit of a run's datasets: made once for the same files and the same questions, kept in the store."""

from __future__ import annotations

from collections.abc import Sequence

from dfd_core.audit import SEVERITIES, Audit, audit_manifests, write_audit
from dfd_core.audit.sheets import contact_sheets
from dfd_core.config import RunConfig
from dfd_core.errors import AuditError
from dfd_core.manifests import Manifest
from dfd_core.pipeline.inputs import Manifests
from dfd_core.progress import Progress
from dfd_core.reports.audit_section import audit_section
from dfd_core.reports.sections import Section
from dfd_core.specs import content_hash, readable_key
from dfd_core.statuses import CHANGED, MISSING
from dfd_core.storage import Store

REVISION = 4
"""Grows whenever the same files and questions give another audit."""
_NAMED = 3


def audit_folder(config: RunConfig, manifests: Manifests) -> str | None:
    """Where in the store the audit of a run's images is, or will be; `None` where the run asks for none."""
    images = _images(config, manifests)
    if config.audit is None or not images:
        return None
    questions = config.audit.model_dump(mode="json", exclude={"fail_on"})  # what fails a run changes no finding
    facts = [REVISION, questions, [manifest.key for manifest in images]]
    return f"audits/{readable_key('+'.join(one.name for one in images)[:60], content_hash(facts))}"


def audit(config: RunConfig, manifests: Manifests, progress: Progress | None = None) -> Audit | None:
    """Audits a run's images, unless the store has their audit already; `hold_to` says whether the run may go on.

    Files that an earlier audit has examined are not read again, whatever it was asked. With `retry_failed` an audit
    that could not read files is made again, and looks for those files again.

    Args:
        config: The run.
        manifests: Its manifests; those that came as vectors have no images.
        progress: Called with how many files were read, then how many images were drawn, and of how many;
            may raise to stop.

    Returns:
        What was found out; `None` where the run asks for no audit.

    Raises:
        DatasetError: None of the files can be read.
        StoreError: The store can't be read or written.
    """
    folder = audit_folder(config, manifests)
    if folder is None or config.audit is None:
        return None
    store = Store(config.store)
    found = read_audit(store, folder)
    if found is None or is_to_be_repeated(config, found):
        images = _images(config, manifests)
        found, evidence = audit_manifests(store, images, config.audit, progress)
        names = ", ".join(one.name for one in images)
        sheets = list(contact_sheets(evidence, config.audit.seed, progress))
        write_audit(store, folder, found, sheets, f"Audit of {names}")
    return found


def hold_to(config: RunConfig, manifests: Manifests, found: Audit) -> None:
    """Ends a run whose images are not as its configuration says that they must be.

    Raises:
        AuditError: There are findings of the severity `audit.fail_on` or above.
    """
    fail_on = None if config.audit is None else config.audit.fail_on
    if fail_on is None or not found.exit_code(fail_on):
        return
    bad = [one for one in found.findings if SEVERITIES.index(one.severity) >= SEVERITIES.index(fail_on)]
    named = " ".join(f"{one.where}: {one.kind.replace('_', ' ')}. {one.message}" for one in bad[:_NAMED])
    more = f" And {len(bad) - _NAMED} more." if len(bad) > _NAMED else ""
    page = Store(config.store).url(f"{audit_folder(config, manifests)}/index.html")
    raise AuditError(
        f"Findings of the audit that end the run, since audit.fail_on is {fail_on}: {len(bad)}. {named}{more} {page} "
        "says what to do about each. To continue anyway, raise audit.fail_on or leave it out."
    )


def read_audit(store: Store, folder: str) -> Audit | None:
    """An audit that is in the store, as a whole."""
    if not store.exists(f"{folder}/index.html"):
        return None
    values = store.read_json(f"{folder}/audit.json")
    values.pop("provenance", None)
    return Audit.model_validate(values)


def audit_facts(config: RunConfig, manifests: Manifests) -> list[str] | None:
    """What a report's key has of the audit: its place and what it found, since an audit can be remade there."""
    folder = audit_folder(config, manifests)
    found = None if folder is None else read_audit(Store(config.store), folder)
    return None if folder is None else [folder, "" if found is None else content_hash(found.model_dump(mode="json"))]


def report_section(config: RunConfig, manifests: Manifests) -> Section:
    """What a report says of the audit, also where none was made."""
    folder = audit_folder(config, manifests)
    found = None if folder is None else read_audit(Store(config.store), folder)
    return audit_section(found, None if folder is None else f"../../{folder}/index.html")


def _images(config: RunConfig, manifests: Manifests) -> Sequence[Manifest]:
    return [manifests[source.name] for source in config.datasets if source.name in manifests]


def is_to_be_repeated(config: RunConfig, found: Audit) -> bool:
    """Whether an audit is made again: it met files that could not be read, and this start retries what failed."""
    return config.retry_failed and any(finding.kind in (MISSING, CHANGED) for finding in found.findings)
