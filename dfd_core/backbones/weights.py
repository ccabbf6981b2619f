"""Finding a weights file: on the hub, on local disk, or at an fsspec URL that is copied into a cache."""

from __future__ import annotations

import hashlib
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem

from dfd_core.backbones.caching import whole_or_absent, why_unusable
from dfd_core.cache import cache_root
from dfd_core.errors import WeightsError, WeightsUnreachableError

_CHUNK_BYTES = 8 * 1024 * 1024
OWN_FILE = "Or give a file of your own as `weights:`, a path or an fsspec URL, with its `sha256:`."


@dataclass(frozen=True)
class HubFiles:
    """Where a library looks for its weights on the Hugging Face hub.

    Attributes:
        repo: The repository's id.
        names: File names in the order in which the library tries them.
        revision: Branch, tag or commit; the default branch where `None`.
    """

    repo: str
    names: tuple[str, ...]
    revision: str | None = None


@dataclass(frozen=True)
class WeightsFile:
    """A weights file on this machine.

    Attributes:
        path: Where it is.
        source: Where it is from, for readers.
    """

    path: Path
    source: str


def cache_folder() -> Path:
    """Where downloaded weights are kept."""
    return cache_root() / "weights"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(found: str, expected: str | None, where: str) -> None:
    """Compares a digest with the stated one, if there is one.

    Raises:
        WeightsError: They differ.
    """
    if expected is not None and found != expected:
        raise WeightsError(
            f"The weights from {where} are not the expected ones: their SHA-256 is {found}, expected was {expected}. "
            "Delete that copy to get it again, or correct the stated digest if these weights are meant."
        )


def from_address(address: str, fetch: bool = True) -> WeightsFile:
    """The file that a local path or fsspec URL names; a remote one is downloaded into the cache once.

    Args:
        address: The path or URL.
        fetch: Whether what is not in the cache is downloaded.

    Raises:
        WeightsError: There is no such file, or it can't be read.
    """
    fs, path = _filesystem(address)
    if isinstance(fs, LocalFileSystem):
        local = Path(path)
        if not local.is_file():
            raise WeightsError(
                f"There is no weights file {local}. Check `weights:`; a relative path starts at the folder of its "
                "configuration."
            )
        return WeightsFile(local.absolute(), str(local))
    target = cache_folder() / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}-{_base_name(address)}"
    if not target.is_file():
        if not fetch:
            raise WeightsError(f"The weights {address} are not on this machine yet, they would be kept in {target}.")
        _check_room(target.parent, address, "XDG_CACHE_HOME")
        _download(fs, path, address, target)
    return WeightsFile(target, f"{address} (kept in {target})")


def from_hub(files: HubFiles, fetch: bool = True) -> WeightsFile:
    """The first of some files that a repository on the hub has, through huggingface_hub and its cache.

    A copy in the cache is used without asking the hub whether there is a newer one: the digest says which it is.

    Args:
        files: Where to look.
        fetch: Whether what is not in the cache is downloaded.

    Raises:
        WeightsError: The hub can't be reached and its cache has no copy, or there is no such file.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError

    for name in files.names:
        with suppress(LocalEntryNotFoundError):
            path = hf_hub_download(files.repo, name, revision=files.revision, local_files_only=True)
            return WeightsFile(Path(path), f"{files.repo}/{name} on the hub")
    wanted = f"{' or '.join(files.names)} of the repository {files.repo} on {constants.ENDPOINT}"
    if not fetch:
        raise WeightsError(f"This machine has no copy of {wanted} yet.")
    _check_room(Path(constants.HF_HUB_CACHE), wanted, "HF_HUB_CACHE")
    for name in files.names:
        try:
            path = hf_hub_download(files.repo, name, revision=files.revision)
        except LocalEntryNotFoundError as error:
            raise WeightsUnreachableError(
                f"Could not get {wanted}: no connection, and no copy in {constants.HF_HUB_CACHE}. "
                f"With a connection, `hf download {files.repo} {files.names[0]}` fills the cache. {OWN_FILE}"
            ) from error
        except EntryNotFoundError:
            continue
        except GatedRepoError as error:
            raise WeightsError(
                f"Could not get {wanted}: accept its conditions on the hub first, then set HF_TOKEN or run "
                f"`hf auth login`. {OWN_FILE}"
            ) from error
        except Exception as error:
            raise WeightsUnreachableError(
                f"Could not get {wanted}: {type(error).__name__}: {error}. {OWN_FILE}"
            ) from error
        return WeightsFile(Path(path), f"{files.repo}/{name} on the hub")
    raise WeightsError(f"There is no {wanted}. {OWN_FILE}")


def _check_room(folder: Path, wanted: str, variable: str) -> None:
    if (reason := why_unusable(folder)) is not None:
        raise WeightsError(
            f"{reason}, and {wanted} has to be downloaded into it. Set {variable} to a folder that can be written. "
            f"{OWN_FILE}"
        )


def _filesystem(address: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        fs, path = fsspec.core.url_to_fs(address)
    except (ValueError, ImportError) as error:
        raise WeightsError(f"Could not understand the address of the weights {address!r}: {error}") from error
    return fs, path


def _base_name(address: str) -> str:
    return PurePosixPath(urlsplit(address).path).name or "weights"


def _download(fs: fsspec.AbstractFileSystem, path: str, address: str, target: Path) -> None:
    try:
        with whole_or_absent(target) as partial:
            if not target.is_file():  # else another process was faster
                with fs.open(path, "rb") as source, partial.open("wb") as copy:
                    shutil.copyfileobj(source, copy, _CHUNK_BYTES)
    except FileNotFoundError as error:
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise WeightsError(
            f"There are no weights at {address}, or no connection to it{cause}. Check the address. {OWN_FILE}"
        ) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise WeightsUnreachableError(
            f"Could not copy the weights {address} to {target}: {reason}. {OWN_FILE}"
        ) from error
