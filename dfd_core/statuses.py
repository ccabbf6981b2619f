"""What can become of one sample: the words of the `status` column of a feature file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

OK = "ok"
MISSING = "missing"
CHANGED = "changed"
EMPTY = "empty"
UNDECODABLE = "undecodable"
TRUNCATED = "truncated"
TOO_LARGE = "too_large"
UNSUPPORTED = "unsupported"
TOO_SMALL = "too_small"
TIMED_OUT = "timed_out"
CRASHED = "crashed"
NON_FINITE = "non_finite"
QUARANTINED = "quarantined"

STATUSES: Mapping[str, str] = MappingProxyType(
    {
        OK: "features are there",
        MISSING: "the file is not there or can't be read",
        CHANGED: "the bytes no longer have the manifest's digest",
        EMPTY: "the file has 0 bytes",
        UNDECODABLE: "not an image, or a damaged one",
        TRUNCATED: "the file ends before its pixels do",
        TOO_LARGE: "more pixels, or passes over them, than the decode policy admits, or more than fits into memory",
        UNSUPPORTED: "an image, but of a format or a kind of pixel for which there is no agreed meaning",
        TOO_SMALL: "fewer pixels than the backbone needs",
        TIMED_OUT: "decoding or preparing it took longer than the time limit",
        CRASHED: "decoding ended the process that did it",
        NON_FINITE: "the backbone gave NaN or infinite values",
        QUARANTINED: "its shard failed every attempt, so the sample was given up",
    }
)
"""Every status with its meaning for reports; all but `ok` are failures."""
