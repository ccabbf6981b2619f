"""The audit of datasets before extraction: broken files, duplicates, balance, and what predicts the label by itself.

`gathering` lists and reads files, `examine` finds out, `write_audit` makes a page. A new check is a function from
`Evidence` to findings, and an entry in `examine.CHECKS`.
"""

from dfd_core.audit.duplicates import near_groups
from dfd_core.audit.examine import audit_manifests, audit_places, examine
from dfd_core.audit.findings import SEVERITIES, Audit, Finding, Severity
from dfd_core.audit.page import write_audit
from dfd_core.audit.spec import AuditSpec

__all__ = [
    "SEVERITIES",
    "Audit",
    "AuditSpec",
    "Finding",
    "Severity",
    "audit_manifests",
    "audit_places",
    "examine",
    "near_groups",
    "write_audit",
]
