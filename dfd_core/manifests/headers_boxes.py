"""What the boxes of an AVIF file say (ISO/IEC 14496-12), and the provenance manifest in a tag of a TIFF file (C2PA)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from dfd_core.manifests.headers_gaps import zero_run

_C2PA_BOX = uuid.UUID("d8fec3d6-1b0e-483c-9297-5828877ec481").bytes
_C2PA_TAG = 0xCD41
_MOST_BOXES, _MOST_ENTRIES = 1_000, 512


def is_avif(data: bytes) -> bool:
    """Whether a file's first box says so, in its main brand or one of the others."""
    return data[4:8] == b"ftyp" and any(
        brand in data[8 : int.from_bytes(data[:4])][:256] for brand in (b"avif", b"avis")
    )


def avif_ending(data: bytes, samples: int) -> dict[str, Any]:
    """Whether all boxes are there, and whether zeros stand where pixels should be."""
    boxes = list(_boxes(data))
    runs = [zero_run(data, at, end, samples) for kind, at, end in boxes if kind == b"mdat"]
    return {
        "complete": bool(boxes) and boxes[-1][2] <= len(data),
        "zero_run": next((run for run in runs if run is not None), None),
    }


def avif_manifests(data: bytes) -> Iterator[bytes]:
    """The contents of the boxes in which C2PA manifests are."""
    for kind, at, end in _boxes(data):
        if kind == b"jumb":
            yield data[at:end]
        elif kind == b"uuid" and data[at : at + 16] == _C2PA_BOX:
            yield data[at + 16 : end]


def tiff_manifests(data: bytes) -> Iterator[bytes]:
    """The contents of the tags of the first directory in which C2PA manifests are."""
    order = {b"II": "little", b"MM": "big"}.get(data[:2])
    if order is None:
        return

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)  # type: ignore[arg-type]

    start = number(4, 4)
    for at in range(start + 2, start + 2 + 12 * min(number(start, 2), _MOST_ENTRIES), 12):
        if number(at, 2) == _C2PA_TAG:
            place, count = number(at + 8, 4), number(at + 4, 4)
            yield data[place : place + count]


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box of the first level, as far as there are any."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        size, head = int.from_bytes(data[at : at + 4]), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16]), 16
        end = len(data) if size == 0 else at + size
        yield data[at + 4 : at + 8], at + head, end
        at = max(end, at + head)
