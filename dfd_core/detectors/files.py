"""Detectors as bytes: skops with a list of trusted types, and without what would make equal ones differ."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

from dfd_core.classifiers import CLASSIFIERS
from dfd_core.reducers import REDUCERS

_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_ID = re.compile(r'(?<="__id__": )\d+|(?<="file": ")\d+')


def to_bytes(parts: dict[str, Any]) -> bytes:
    """Estimators and strings as a skops archive; equal ones give equal bytes."""
    import skops.io

    return _without_addresses(skops.io.dumps(parts))


def from_bytes(data: bytes) -> Any:
    """Reads what `to_bytes` wrote.

    Raises:
        Exception: Whatever skops finds wrong; among it types beyond scikit-learn's that no card names.
    """
    import skops.io

    cards = [card for registry in (CLASSIFIERS, REDUCERS) for _, card in registry.items()]
    return skops.io.loads(data, trusted=sorted({name for card in cards for name in card.trusted}))


def _without_addresses(data: bytes) -> bytes:
    """The archive with objects numbered in the order of their appearance, not by memory address, and without times."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = archive.read(_SCHEMA).decode()
        numbers: dict[str, str] = {}
        for match in _ID.finditer(schema):
            numbers.setdefault(match[0], str(len(numbers)))
        contents = {_SCHEMA: _ID.sub(lambda match: numbers[match[0]], schema).encode()}
        for name in archive.namelist():
            if name != _SCHEMA:
                stem, dot, suffix = name.partition(".")
                contents[numbers[stem] + dot + suffix] = archive.read(name)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(contents):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), contents[name])
    return out.getvalue()
