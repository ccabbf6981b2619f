"""What a report says of the audit of its datasets."""

from __future__ import annotations

from collections import Counter

from dfd_core.audit import SEVERITIES, Audit
from dfd_core.reports.sections import Section
from dfd_core.reports.tables import Table

TITLE = "Audit"
NONE_MADE = (
    "No audit was made of these datasets: broken files, duplicates across splits, and properties of files that give "
    "the label away were not looked for. `audit: {}` in the configuration makes one before extraction, and `dfd audit "
    "CONFIG` makes one now."
)


def audit_section(audit: Audit | None, page: str | None = None) -> Section:
    """The findings, the worst first, and where the page with all the rest is.

    Args:
        audit: What was found out; `None` where none was made.
        page: The address of the audit's page, from the report's folder.
    """
    if audit is None:
        return Section(TITLE, [NONE_MADE])
    counts = Counter(finding.severity for finding in audit.findings)
    told = ", ".join(f"{counts[severity]} {severity}" for severity in reversed(SEVERITIES))
    text = [f"Findings: {told}." if audit.findings else "Nothing was found.", *audit.notes]
    rows = tuple(
        (one.severity, one.kind.replace("_", " "), one.where, str(one.n), one.message, one.advice)
        for one in audit.findings
    )
    header = ("severity", "what", "where", "files", "found", "what to do")
    tables = [Table(header, rows, "What the audit found, the worst first", name="audit")] if rows else []
    links = [("The audit's page: contact sheets, histograms, every property's score", page)] if page else []
    return Section(TITLE, text, tables, links=links)
