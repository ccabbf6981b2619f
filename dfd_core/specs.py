"""The base of every configuration: frozen, without unknown keys, with a content hash."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict

HASH_LENGTH = 12


class Spec(BaseModel):
    """A frozen description of something that can be made."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def content_hash(self) -> str:
        """12 hexadecimal digits that change when any field does."""
        return content_hash(self.model_dump(mode="json"))


def content_hash(value: Any) -> str:
    """12 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def readable_key(name: str, digest: str) -> str:
    """The key of an artefact: a readable part that is safe as a folder's name, then the hash."""
    return f"{re.sub(r'[^A-Za-z0-9._+-]+', '_', name).strip('._') or 'unnamed'}-{digest}"
