"""The shelf: where in a store downloaded archives lie, with what was recorded of them; datasets share it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfd_core.cache import cache_root
from dfd_core.datasets.cards import Archive, Part
from dfd_core.datasets.downloading import Checkpoint, Expected, Fetching, download, open_origin
from dfd_core.datasets.downloading.engine import digest_of
from dfd_core.datasets.downloading.origins import TransientFault
from dfd_core.errors import DownloadError
from dfd_core.filesystems import open_url
from dfd_core.progress import Bytes, Progress
from dfd_core.provenance import provenance
from dfd_core.specs import content_hash, is_url
from dfd_core.storage import Store

FOLDER = "archives"
_BLOCK = 2**20
_TRUST = (
    "If it is to be trusted, `dfd datasets remove NAME --archives --forget` drops the dataset's recorded digests; "
    "prepare it again."
)


def is_put_by_hand(part: Part, store: Store) -> bool:
    """Whether a person put a part where it is, so that it is theirs to replace or remove."""
    return not is_url(part.address) or part.address.startswith(f"{store.url()}/")


def place(part: Part) -> str:
    """Where in a store a part lies."""
    return f"{FOLDER}/{content_hash(part.address)}/{part.name}"


def local_path(part: Part, store: Store) -> Path:
    """Where on this machine a part lies: where a person put it, in the store, or in a cache beside a remote store."""
    if not is_url(part.address):
        return Path(part.address)
    if store.is_local:
        return Path(store.root) / place(part)
    return cache_root() / place(part)


def inner_path(archive: Archive, first: Path) -> Path:
    """Where the inner archive lies that was taken out of one that is packed twice, by the first part of that."""
    return first.parent / f"{archive.name}-inside"


def record(part: Part, store: Store) -> dict[str, Any]:
    """What was recorded of a part; empty before its download began.

    First there is its address, then size, digest, stamp and the file's time of change too. The digest is held, from
    then on, once `opened` says that the archive could be read: else a file that came cut short would be what all
    later ones are measured by.
    """
    path = f"{place(part)}.json"
    return dict(store.read_json(path)) if store.exists(path) else {}


def fetch_archive(
    archive: Archive,
    store: Store,
    how: Fetching = Fetching(),  # noqa: B008 - immutable
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[Path]:
    """Makes sure that all parts of an archive are on the shelf; what is there is not fetched again.

    Args:
        archive: From a card, without `*`.
        store: Where the shelf is.
        how: Connections, attempts, waiting, and how much may be fetched of all parts.
        progress: Called with the bytes that are there and their total; parts to come are taken to be as large as this
            one.
        checkpoint: Called at least every second; raises to stop.

    Returns:
        Where the parts lie on this machine.

    Raises:
        DownloadError: A part can't be fetched, or has another digest than stated or recorded.
        StoreError: The store can't be read or written.
    """
    paths: list[Path] = []
    for part in archive.parts:
        told = None if progress is None else _over_all(progress, archive, [path.stat().st_size for path in paths])
        was_there = local_path(part, store).exists()
        paths.append(_fetch_part(part, store, how, told, checkpoint))
        if how.max_bytes is not None and not was_there:
            how = how.model_copy(update={"max_bytes": max(0, how.max_bytes - paths[-1].stat().st_size)})
    return paths


def _over_all(progress: Progress, archive: Archive, sizes: list[int]) -> Progress:
    before, later = sum(sizes), archive.parts[len(sizes) + 1 :]

    def tell(done: int, total: int) -> None:
        rest = sum(part.size_bytes or total for part in later)
        progress(Bytes(before + done), Bytes(before + total + rest))

    return tell


def is_there(archive: Archive, store: Store) -> bool:
    """Whether nothing of an archive is left to fetch."""
    return all(local_path(part, store).exists() and "sha256" in record(part, store) for part in archive.parts)


def missing_bytes(archive: Archive, store: Store) -> int | None:
    """How much is to be fetched of an archive; `None` where a server does not say, or not now.

    Raises:
        DownloadError: A part can't be fetched.
    """
    total = 0
    for part in archive.parts:
        if local_path(part, store).exists():
            continue
        size = part.size_bytes
        if size is None:
            with contextlib.closing(open_origin(part.address)) as origin:
                try:
                    size = origin.facts().size
                except TransientFault:
                    return None
        if size is None:
            return None
        total += size
    return total


def _fetch_part(
    part: Part, store: Store, how: Fetching, progress: Progress | None, checkpoint: Checkpoint | None
) -> Path:
    known, path = record(part, store), local_path(part, store)
    there = path.exists()
    if there and "sha256" in known and _seen(path) == {key: known.get(key) for key in _seen(path)}:
        return path
    held = known if known.get("opened", True) else {}
    if there and held and path.stat().st_size != held["size"]:
        raise DownloadError(
            f"{path} has {path.stat().st_size:,} bytes, recorded are {held['size']:,}. {_way_out(part, store)}"
        )
    facts = {"address": part.address, "opened": False}
    if not known and not there:
        store.write_json(f"{place(part)}.json", provenance(**facts))  # by it what was half fetched is found
    expected = Expected(
        part.size_bytes, part.sha256 or held.get("sha256"), part.md5, recorded=not part.sha256 and "sha256" in held
    )
    found = download(open_origin(part.address), path, expected, how, progress, checkpoint)
    if found.sha256 != (expected.sha256 or found.sha256):  # it was put there by somebody else, or changed since
        what = f"{path} has the SHA-256 {found.sha256} and should have {expected.sha256}"
        raise DownloadError(f"{what}. {_way_out(part, store)}")
    if part.md5 is not None and not found.fetched and (md5 := digest_of(path, checkpoint, "md5")) != part.md5:
        raise DownloadError(f"{path} has the MD5 {md5} and should have {part.md5}. {_way_out(part, store)}")
    if held:
        facts = held
    else:
        facts |= {"size": found.size, "sha256": found.sha256, "stamp": found.stamp, "vouched": found.vouched}
        facts = provenance(**facts)
    store.write_json(f"{place(part)}.json", {**facts, **_seen(path)})
    return path


def _way_out(part: Part, store: Store) -> str:
    if is_put_by_hand(part, store):
        return f"Put the file there that it was. {_TRUST}"
    return f"`dfd datasets remove NAME --archives` removes it, to be fetched again. {_TRUST}"


def _seen(path: Path) -> dict[str, int]:
    """What changes when a file is written to: while it is as recorded, the file need not be hashed again."""
    found = path.stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def set_aside(archive: Archive, store: Store) -> bool:
    """Gives up an archive that can't be read, so that it is fetched again; what was fetched stays as half fetched.

    Not what was read before, what a publisher or hub vouches for, nor what a person put there: another copy would be
    no better, or is not ours to replace.

    Returns:
        Whether something was given up.
    """
    given_up = False
    for part in archive.parts:
        known, path = record(part, store), local_path(part, store)
        doubtful = "sha256" in known and not known.get("opened", True) and not known.get("vouched", False)
        if doubtful and not is_put_by_hand(part, store) and path.exists():
            path.replace(path.with_name(f".{path.name}.partial"))
            store.write_json(f"{place(part)}.json", provenance(address=part.address, opened=False))
            given_up = True
    if given_up:
        inner_path(archive, local_path(archive.parts[0], store)).unlink(missing_ok=True)
    return given_up


def hold(archive: Archive, store: Store) -> None:
    """From now on the archive's parts have the digests that were recorded, for it could be read."""
    for part in archive.parts:
        known = record(part, store)
        if not known.get("opened", True) and "sha256" in known:
            store.write_json(f"{place(part)}.json", {**known, "opened": True})


def verify_part(part: Part, store: Store, read: Callable[[int], object] | None = None) -> str | None:
    """What is wrong with a part on the shelf; `None` where nothing is, or it is not there.

    Args:
        part: Which.
        store: Where the shelf is.
        read: Called with the number of bytes read since the last call; may raise to stop.
    """
    known = record(part, store)
    for copy in copies(part, store):
        if "sha256" not in known:
            return f"{copy} has no record"
        digest = hashlib.sha256()
        fs, path = open_url(copy)
        with fs.open(path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                if read is not None:
                    read(len(block))
        if digest.hexdigest() != known["sha256"]:
            return f"{copy} has the SHA-256 {digest.hexdigest()}, recorded is {known['sha256']}"
    return None


def copies(part: Part, store: Store) -> list[str]:
    """Where a part is: on this machine, on the shelf of a store elsewhere, in the folder of a person's own files."""
    path, root = local_path(part, store), f"{store.url()}/"
    found = [str(path)] if path.exists() else []
    if not store.is_local:
        elsewhere = [place(part), *([part.address.removeprefix(root)] if part.address.startswith(root) else [])]
        found += [store.url(one) for one in elsewhere if store.exists(one)]
    return found
