"""Opening an archive of a card: on this machine or where it is, joined of its parts, the inner one of two."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from dfd_core.datasets import shelf
from dfd_core.datasets.archives import spanned
from dfd_core.datasets.archives.containers import Container, Member, kind_of, open_container
from dfd_core.datasets.archives.gate import Limits
from dfd_core.datasets.archives.joined import Joined, Window
from dfd_core.datasets.archives.ranged import BLOCK, Ranged, Spent
from dfd_core.datasets.cards import Archive
from dfd_core.datasets.downloading import Fetching, open_origin
from dfd_core.datasets.lock import alone
from dfd_core.errors import ArchiveError, WholeOnlyError
from dfd_core.progress import Bytes, Progress
from dfd_core.storage import fault_of

_WORTH_SKIPPING = 16
"""Blocks that a file must have, on average, where each one's header is read."""
_INNER = Limits(member_bytes=2**43)


def open_local(archive: Archive, paths: list[Path], progress: Progress | None = None) -> Container:
    """Opens an archive whose parts lie on this machine; of one that is packed twice the inner one.

    Args:
        archive: From a card.
        paths: Its parts.
        progress: Called with bytes of the inner archive while it is taken out of the outer one; may raise to stop.

    Raises:
        ArchiveError: It is damaged, or its inner archive is not in it.
    """
    container = _open(archive, [path.open("rb") for path in paths], str(paths[0]))
    if archive.inside is None:
        return container
    target = shelf.inner_path(archive, paths[0])
    with contextlib.ExitStack() as stack:
        stack.enter_context(container)
        member = _inner(archive, container)
        if member.plain:
            stack.pop_all()
            return _inside(container, member)
        if not target.exists():
            _take_out(container, member, target, progress)
    return open_container(str(target), target.open("rb"), kind_of(archive.inside) or "zip")


def _take_out(outer: Container, member: Member, target: Path, progress: Progress | None) -> None:
    """Writes an inner archive beside its outer one, once; datasets that share it may want it at the same time."""
    partial = target.with_name(f".{target.name}.partial")

    def wait() -> None:
        if progress is not None:
            progress(Bytes(0), Bytes(member.size))

    try:
        with alone(target, wait):
            if not target.exists():  # somebody else may have written it meanwhile
                with partial.open("wb") as file:
                    outer.copy(member, cast("IO[bytes]", _Counted(file, member.size, progress)) if progress else file)
                partial.replace(target)
    except OSError as error:
        raise fault_of(error, "write", str(target)) from error


def _inner(archive: Archive, outer: Container) -> Member:
    member = next((one for one in outer.members() if one.path == archive.inside), None)
    if member is None:
        raise ArchiveError(f"There is no {archive.inside} in the archive {archive.name}.")
    return member


def _inside(outer: Container, member: Member) -> Container:
    """The inner archive where it lies in the outer one as it is: it need not be taken out."""
    window = io.BufferedReader(Window(outer.file, outer.offset(member), member.size))
    return open_container(f"{outer.name}/{member.path}", window, kind_of(member.path) or "zip")


class _Counted(io.RawIOBase):
    """A file that tells how much was written to it."""

    def __init__(self, file: IO[bytes], total: int, progress: Progress) -> None:
        self.file, self.total, self.progress, self.count = file, total, progress, 0

    def write(self, data: Any) -> int:
        self.count += self.file.write(data)
        self.progress(Bytes(self.count), Bytes(self.total))
        return len(data)


def open_remote(archive: Archive, how: Fetching, max_bytes: int | None, progress: Progress) -> Container:
    """Opens an archive where it is, to read parts of it.

    Args:
        archive: From a card, without `*`.
        how: Attempts and waiting.
        max_bytes: How much may be fetched of all its parts together.
        progress: Called with the bytes that were fetched and those of all parts, while they are asked for too; may
            raise to stop.

    Raises:
        WholeOnlyError: It can't be read in ranges, or that would fetch most of it.
        DownloadError: It can't be read, or not now.
    """
    spent, files = Spent(), list[Ranged]()

    def tell() -> None:
        progress(Bytes(spent.size_bytes), Bytes(sum(file.size for file in files)))

    for part in archive.parts:
        files.append(Ranged(open_origin(part.address), how, max_bytes, tell, spent))
    container = _open(archive, [io.BufferedReader(file) for file in files], archive.parts[0].address)
    with contextlib.ExitStack() as stack:
        stack.enter_context(container)
        if archive.inside is not None:
            member = _inner(archive, container)
            if not member.plain:
                what = f"{container.name} can only be downloaded whole: {member.path} is compressed in it."
                raise WholeOnlyError(what)
            container = _inside(container, member)
        mean = container.mean_stride()
        if mean is not None and mean < _WORTH_SKIPPING * BLOCK:
            raise WholeOnlyError(
                f"{container.name} has no list of its files, which have {mean:,.0f} bytes on average: to find some of "
                "them most of it would be read."
            )
        stack.pop_all()
    return container


def can_be_read_in_parts(archive: Archive) -> bool:
    """Whether a sample of it may need no more than some ranges; an inner archive may turn out to be compressed."""
    return archive.kind in ("zip", "tar", "parquet") or archive.inside is not None


def _open(archive: Archive, files: list[BinaryIO], place: str) -> Container:
    with contextlib.ExitStack() as stack:  # files of what can't be opened are closed
        for file in files:
            stack.callback(file.close)
        container = _opened(archive, files, place)
        stack.pop_all()
    return container


def _opened(archive: Archive, files: list[BinaryIO], place: str) -> Container:
    if archive.kind == "zip":
        file = spanned.joined(place, files)
    else:
        file = files[0] if len(files) == 1 else io.BufferedReader(Joined(files))
    if archive.rows is not None:
        from dfd_core.datasets.archives.parquet_rows import ParquetContainer

        return ParquetContainer(place, file, Limits(ratio=10**6), archive.rows)
    limits = Limits() if archive.inside is None else _INNER
    return open_container(place, file, archive.kind, limits)
