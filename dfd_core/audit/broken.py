"""Files that hold no picture, only a part of one, or another kind than their name says."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from dfd_core.audit.findings import Finding, Severity, some_lines
from dfd_core.audit.gathering import Evidence
from dfd_core.audit.spec import AuditSpec
from dfd_core.manifests.headers import CHANGED, EMPTY, MISSING, OK, UNDECODABLE

_SUFFIXES = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **{".webp": "WEBP", ".gif": "GIF", ".avif": "AVIF"},
}
_DAMAGED, _TRUNCATED, _MISNAMED = "damaged", "truncated", "misnamed"
_KINDS: dict[str, tuple[Severity, str, str]] = {
    MISSING: ("error", "are not there or can't be read", "Restore them, or leave them out."),
    EMPTY: ("error", "have 0 bytes", "Fetch them again, or remove them."),
    UNDECODABLE: ("error", "hold no picture that is known", "Remove them; often they are error pages saved as images."),
    _DAMAGED: ("error", "have a header, but their pixels can't be decoded", "Fetch them again, or remove them."),
    _TRUNCATED: ("error", "end before their picture does", "Fetch them again, or remove them."),
    CHANGED: ("error", "have changed since the manifest was made", "Make the manifest anew: `dfd prepare`."),
    _MISNAMED: (
        "warning",
        "are of another format than their extension says",
        "Rename them. If it concerns one class, look at how its files were made: they were encoded anew.",
    ),
}


def check(evidence: Evidence, _: AuditSpec) -> Iterator[Finding]:
    """A finding for each dataset and kind of defect."""
    frame = evidence.frame
    kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
    datasets = frame["dataset"].tolist()
    for row, kind in _defects(evidence):
        kinds[datasets[row], kind].append(row)
    reasons = evidence.headers["error"].to_pylist()
    formats = evidence.headers["format"].to_pylist()
    paths = frame["path"].tolist()
    for (dataset, kind), rows in sorted(kinds.items()):
        severity, what, advice = _KINDS[kind]
        why = {row: evidence.damage.get(row) or reasons[row] or "" for row in rows}
        if kind == _MISNAMED:
            why = {row: f"is {formats[row]}" for row in rows}
        lines = [f"{paths[row]}: {why[row]}".removesuffix(": ") for row in rows]
        message = f"{len(rows)} of {(frame['dataset'] == dataset).sum()} files {what}."
        yield Finding(
            severity=severity, kind=kind, where=dataset, n=len(rows), message=message, advice=advice,
            evidence=some_lines(lines),
        )  # fmt: skip


def whole(evidence: Evidence) -> np.ndarray:
    """(N,) bool, which files hold a whole picture, as far as was looked."""
    good = np.ones(len(evidence.frame), dtype=bool)
    good[[row for row, kind in _defects(evidence) if kind != _MISNAMED]] = False
    return good


def _defects(evidence: Evidence) -> Iterator[tuple[int, str]]:
    columns = (evidence.headers[name].to_pylist() for name in ("status", "format", "complete"))
    for row, (path, status, name, complete) in enumerate(zip(evidence.frame["path"], *columns, strict=True)):
        if status != OK:
            yield row, status
            continue
        # a decoder is the better judge; without one, the end marker is
        if row in evidence.damage:
            yield row, _DAMAGED if complete else _TRUNCATED
        elif complete is False and evidence.hashes is None:
            yield row, _TRUNCATED
        expected = _SUFFIXES.get(posixpath.splitext(path)[1].lower())
        if expected is not None and name != expected:
            yield row, _MISNAMED
