"""Files that hold no image, only a part of one, or another kind than their name says."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from dfd_core.audit.endings import ENDS_EARLY
from dfd_core.audit.findings import Finding, Severity, some_lines
from dfd_core.audit.gathering import MOST_PIXELS, Evidence
from dfd_core.audit.spec import AuditSpec
from dfd_core.statuses import CHANGED, EMPTY, MISSING, OK, UNDECODABLE
from dfd_core.wording import counted

_SUFFIXES = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **{".webp": "WEBP", ".gif": "GIF", ".avif": "AVIF"},
}
_DAMAGED, _TRUNCATED, _NO_END, _BAD_CHUNK, _MISNAMED = "damaged", "truncated", "no_end", "bad_chunk", "misnamed"
_ZEROS, _MORE = "zeros", "trailing_bytes"
_TOO_LARGE = "too_many_pixels"
_FEW = 16  # so many bytes behind an image are not worth a word
_KINDS: dict[str, tuple[Severity, str, str]] = {
    MISSING: ("error", "are not there or can't be read", "Restore them, or leave them out."),
    EMPTY: ("error", "have 0 bytes", "Fetch them again, or remove them."),
    UNDECODABLE: ("error", "hold no image that is known", "Remove them; often they are error pages saved as images."),
    _DAMAGED: ("error", "have a header, but their pixels can't be decoded", "Fetch them again, or remove them."),
    _TRUNCATED: ("error", "end before their image does", "Fetch them again, or remove them."),
    _ZEROS: (
        "error",
        "have zero bytes where pixels should be",
        "Fetch them again, or remove them: decoders show a flat or wrong area there, often without an error.",
    ),
    _NO_END: (
        "warning",
        "lack their end, though their pixels decode",
        "Fetch them again: other decoders may refuse them, and their last bytes are lost.",
    ),
    _BAD_CHUNK: (
        "warning",
        "have a chunk with a wrong check sum",
        "Fetch them again: bytes have changed since they were written; some decoders refuse them, others show them so.",
    ),
    _MORE: (
        "info",
        "have more bytes after their image",
        "Decoders skip them. Look at whether two files were joined; cameras put previews and videos there.",
    ),
    _TOO_LARGE: (
        "warning",
        "have more than 100 million pixels, and were not decoded",
        "Extraction refuses them too, unless `extraction.decode.max_pixels` allows more: scale them down, or leave "
        "them out.",
    ),
    CHANGED: ("error", "have changed since the manifest was built", "Rebuild the manifest: `dfd prepare`."),
    _MISNAMED: (
        "warning",
        "are of another format than their extension says",
        "Rename them. If it concerns one class, look at how its files were made: they were encoded again.",
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
    formats, chunks, zeros, more = (
        evidence.headers[name].to_pylist() for name in ("format", "bad_chunk", "zero_run", "trailing_bytes")
    )
    paths = frame["path"].tolist()
    for (dataset, kind), rows in sorted(kinds.items()):
        severity, what, advice = _KINDS[kind]
        why = {row: evidence.damage.get(row) or reasons[row] or "" for row in rows}
        if kind == _BAD_CHUNK:
            why = {row: f"the chunk {chunks[row]}" for row in rows}
        elif kind == _ZEROS:
            why = {row: f"{zeros[row]:,} in a row" for row in rows}
        elif kind == _MORE:
            why = {row: f"{more[row]:,} bytes" for row in rows}
        elif kind == _TOO_LARGE:
            why = {row: f"{evidence.pixels[row]:,} pixels" for row in rows}
        elif kind == _MISNAMED:
            why = {row: f"is {formats[row]}" for row in rows}
        lines = [f"{paths[row]}: {why[row]}".removesuffix(": ") for row in rows]
        said = _of_one(what) if len(rows) == 1 else what
        message = f"{len(rows)} of {counted(int((frame['dataset'] == dataset).sum()), 'file')} {said}."
        yield Finding(
            severity=severity, kind=kind, where=dataset, n=len(rows), message=message, advice=advice,
            evidence=some_lines(lines),
        )  # fmt: skip


def _of_one(what: str) -> str:
    verb, rest = what.split(" ", 1)
    singular = {"are": "is", "have": "has"}.get(verb, f"{verb}s")
    return f"{singular} {rest.replace('their', 'its').replace(' were ', ' was ')}"


def whole(evidence: Evidence) -> np.ndarray:
    """(N,) bool, which files hold a whole image, as far as was looked."""
    good = np.ones(len(evidence.frame), dtype=bool)
    good[[row for row, kind in _defects(evidence) if _KINDS[kind][0] == "error"]] = False
    return good


def _defects(evidence: Evidence) -> Iterator[tuple[int, str]]:
    names = ("status", "format", "complete", "bad_chunk", "zero_run", "trailing_bytes")
    columns = (evidence.headers[name].to_pylist() for name in names)
    rows = zip(evidence.frame["path"], evidence.decoded, evidence.pixels.tolist(), *columns, strict=True)
    for row, (path, decoded, pixels, status, name, complete, bad_chunk, zeros, more) in enumerate(rows):
        if status != OK:
            yield row, _TRUNCATED if status == UNDECODABLE and complete is False else status
            continue
        # a decoder is the better judge of the pixels; without one, the end marker is
        if pixels > MOST_PIXELS:
            yield row, _TOO_LARGE
        if row in evidence.damage:
            yield row, _TRUNCATED if complete is False or evidence.damage[row] == ENDS_EARLY else _DAMAGED
        elif zeros is not None:
            yield row, _ZEROS
        elif complete is False:
            yield row, _NO_END if decoded else _TRUNCATED
        if row not in evidence.damage and bad_chunk is not None:
            yield row, _BAD_CHUNK
        if more is not None and more >= _FEW:
            yield row, _MORE
        expected = _SUFFIXES.get(posixpath.splitext(path)[1].lower())
        if expected is not None and name != expected:
            yield row, _MISNAMED
