"""The base of every configuration: frozen, without unknown keys, with a content hash."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

HASH_LENGTH = 12
# a name alone is no secret but with HTTP, where it may be a token; `github://OWNER:NAME@REVISION/` is no login
_LOGIN = re.compile(r"https?://[^/?#]*@|(?<!github)(?<!git)://[^/?#@]*:[^/?#]*@", re.IGNORECASE)
_SIGNED = re.compile(
    r"[?&]((?:x-amz-|x-goog-)(?:signature|credential|security-token)|awsaccesskeyid|sig|signature|password|"
    r"[a-z_-]*token|api[_-]?key)=",
    re.IGNORECASE,
)


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


def without_secrets(location: str) -> str:
    """A location as it is; they are written into cards, manifests and reports, and printed.

    Raises:
        ValueError: It has a name, password, signature or token in it, which the message has not.
    """
    signed = _SIGNED.search(location)
    if is_url(location) and (signed or _LOGIN.search(location)):
        what = f"a signature or token (`{signed[1]}`)" if signed else "a name or password before `@`"
        raise ValueError(
            f"the address has {what} in it, which would be kept and printed. Leave it out, and log in the way that "
            "the provider's own client does: by its environment variables or its configuration file (~/.netrc for web "
            "servers)"
        )
    return location


def without_login(location: str) -> str:
    """A location for messages: without what stands before `@` where that may be a name and password."""
    return re.sub(r"://[^/?#]*@", "://***@", location)


Location = Annotated[str, AfterValidator(without_secrets), AfterValidator(_from_the_configs_folder)]
"""A local path or fsspec URL, without secrets. In a configuration file a relative path starts at the file's folder."""


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
