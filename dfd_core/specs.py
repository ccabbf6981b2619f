"""The base of every configuration: frozen, without unknown keys, with a content hash."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

HASH_LENGTH = 12


class Spec(BaseModel):
    """A frozen description of something that can be made."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def content_hash(self) -> str:
        """12 hexadecimal digits that change when any field does."""
        return content_hash(self.model_dump(mode="json"))


def is_url(location: str) -> bool:
    """Whether a location names its file system (`s3://...`, `zip://...::...`), else it is a local path."""
    return "://" in location or "::" in location


def _from_the_configs_folder(location: str, info: ValidationInfo) -> str:
    base = (info.context or {}).get("base")
    if base is None or is_url(location):
        return location
    return str((Path(base) / Path(location).expanduser()).resolve())


Location = Annotated[str, AfterValidator(_from_the_configs_folder)]
"""A local path or fsspec URL. In a configuration file a relative path starts at the file's own folder."""


def content_hash(value: Any) -> str:
    """12 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def readable_key(name: str, digest: str) -> str:
    """The key of an artefact: a readable part that is safe as a folder's name, then the hash."""
    return f"{safe_name(name)}-{digest}"


def safe_name(name: str) -> str:
    """A name without what folders' names may not have."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._") or "unnamed"
