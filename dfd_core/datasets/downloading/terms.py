"""What a download is asked for and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

from pydantic import Field

from dfd_core.specs import Spec

Checkpoint = Callable[[], object]
"""Called at least every second; raises to stop the download, which goes on later where it ended."""


class Fetching(Spec):
    """How to download.

    Attributes:
        connections: Requests that are under way at a time.
        chunk_bytes: Size of a part; what is lost of each connection when the process is killed.
        chunks_at_once: Parts in a row that are asked for by one request, so that small ones cost no waiting.
        attempts: How often in a row a part may fail without a new byte.
        first_wait_s: Before the second attempt; doubled each time.
        longest_wait_s: Between two attempts; a server that asks for more is left alone.
        max_bytes: How much may be fetched; more is refused as soon as it is known.
    """

    connections: Annotated[int, Field(ge=1, le=32)] = 4
    chunk_bytes: Annotated[int, Field(ge=2**10)] = 2**20
    chunks_at_once: Annotated[int, Field(ge=1)] = 16
    attempts: Annotated[int, Field(ge=1)] = 8
    first_wait_s: Annotated[float, Field(ge=0)] = 0.5
    longest_wait_s: Annotated[float, Field(ge=0)] = 300.0
    max_bytes: Annotated[int, Field(ge=0)] | None = None


class Expected(NamedTuple):
    """What is known of a file before it is fetched; `None` where nothing is.

    Attributes:
        size: Bytes.
        sha256: Digest of all of it.
        md5: Another, where the publisher states that one.
        recorded: Whether the SHA-256 is the one of an earlier download, which nobody stated.
    """

    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    recorded: bool = False


class Downloaded(NamedTuple):
    """A file that is there and right.

    Attributes:
        size: Bytes.
        sha256: Digest of all of it.
        stamp: The server's own mark of this content.
        fetched: Bytes that this call had to fetch.
        vouched: Whether a digest was stated for it, so that it is as its publisher or hub has it.
    """

    size: int
    sha256: str
    stamp: str | None
    fetched: int
    vouched: bool
