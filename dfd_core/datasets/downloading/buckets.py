"""Files on any file system that fsspec knows: s3, gs, local disks and others."""

from __future__ import annotations

from collections.abc import Iterator

from dfd_core.datasets.downloading.origins import Facts, TransientFault
from dfd_core.errors import DownloadError, StoreError
from dfd_core.filesystems import missing_client, open_url

_PIECE = 2**20
_DIGESTS = ("xet_hash", "ETag", "etag", "md5Hash", "checksum", "sha", "blob_id")
_STAMPS = (*_DIGESTS, "mtime", "LastModified", "last_modified")
_LASTING_CODES = {400, 401, 403, 404, 405, 410}
_LASTING_KINDS = {"DefaultCredentialsError", "NoCredentialsError", "RefreshError", "ValueError"}


class FsspecOrigin:
    """A file on any file system that fsspec knows.

    Args:
        url: Its fsspec URL; credentials come from the environment.

    Raises:
        DownloadError: Nothing reads such an address here.
    """

    stamps_every_range = False

    def __init__(self, url: str) -> None:
        self.address = url
        try:
            self.fs, self.path = open_url(url)
        except ImportError as error:
            raise DownloadError(f"{url} can't be opened: {missing_client(url) or error}") from error
        except ValueError as error:
            raise DownloadError(f"{url} can't be opened: {error}") from error

    def facts(self) -> Facts:
        """See `Origin`."""
        with _faults(self.address):
            self.fs.invalidate_cache()
            info = self.fs.info(self.path)
        stamp = next((str(info[key]) for key in _STAMPS if info.get(key) is not None), None)
        return Facts(int(info["size"]), stamp, True)

    def read(self, start: int, stop: int | None, facts: Facts) -> Iterator[bytes]:
        """See `Origin`."""
        end = facts.size if stop is None else stop
        for at in range(start, end or 0, _PIECE):
            with _faults(self.address):
                piece = bytes(self.fs.cat_file(self.path, start=at, end=min(at + _PIECE, end or 0)))
            yield piece

    def close(self) -> None:
        """See `Origin`."""


class _faults:  # noqa: N801 - used like a function
    """Sorts what the clients of buckets raise, which is anything, into what may pass and what will not."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, Exception):
            return
        if isinstance(error, StoreError):
            raise DownloadError(f"{self.address} can't be read: {error}") from error
        if isinstance(error, FileNotFoundError | PermissionError):
            reason = "there is no such file" if isinstance(error, FileNotFoundError) else "it does not let us"
            raise DownloadError(f"{self.address} can't be read: {reason}. Check the address and the login.") from error
        if getattr(error, "code", None) in _LASTING_CODES or type(error).__name__ in _LASTING_KINDS:
            raise DownloadError(f"{self.address} can't be read: {error}. Check the address and the login.") from error
        raise TransientFault(f"{type(error).__name__}: {error}") from error
