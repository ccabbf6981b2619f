"""Buckets of the Hugging Face hub: folders of files without commits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import quote

from huggingface_hub import HfFileSystem, constants
from huggingface_hub.errors import BucketNotFoundError, EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.utils import (
    build_hf_headers,
    disable_progress_bars,
    get_session,
    hf_raise_for_status,
    http_backoff,
)

from dfd_core.errors import StoreError

_LOG_IN = "Log in with `hf auth login`, or set HF_TOKEN to a token that may read and write it"


class BucketFileSystem(HfFileSystem):
    """The hub's own file system, made to see at once what others have written.

    That of `huggingface_hub` answers from listings of whole folders, which it keeps, and takes a hub that refuses for a
    file that is not there. Here a look-up and a read are one request each. A file that is written is uploaded first and
    then named, so that it is complete or absent.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        disable_progress_bars()  # else three bars for each file that is written

    def info(self, path: str, refresh: bool = False, revision: str | None = None, **_: Any) -> dict[str, Any]:  # noqa: ARG002
        """Facts of a file or folder, asked of the hub each time."""
        bucket, inner = _parsed(path)
        with self._faults(bucket):
            if not inner:
                self._api.bucket_info(bucket)
                return {"name": f"buckets/{bucket}", "size": 0, "type": "directory"}
            for file in self._api.get_bucket_paths_info(bucket, [inner]):
                name = f"buckets/{bucket}/{file.path}"
                return {"name": name, "size": file.size, "type": "file", "xet_hash": file.xet_hash}
            below = self._api.list_bucket_tree(bucket, inner)
            if any(entry.path.startswith(f"{inner}/") for entry in below):
                return {"name": f"buckets/{bucket}/{inner}", "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def exists(self, path: str, **_: Any) -> bool:
        """Whether a file or folder is there; a hub that refuses or does not answer is an error."""
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # type: ignore[override]
        """What is directly in a folder, as the hub has it now."""
        with self._faults(_parsed(path)[0]):
            return list(super().ls(path, detail=detail, refresh=True))

    def find(self, path: str, *args: Any, **options: Any) -> Any:
        """All files below a folder, as the hub has them now."""
        with self._faults(_parsed(path)[0]):
            return super().find(path, *args, **{**options, "refresh": True})

    def invalidate_cache(self, path: str | None = None) -> None:  # noqa: ARG002 - the name is fsspec's
        """Forgets listings, and which buckets are not there."""
        self.dircache.clear()
        self._bucket_exists_cache = {name: found for name, found in self._bucket_exists_cache.items() if found[0]}

    def url(self, path: str) -> str:
        """The address of a file's bytes."""
        bucket, inner = _parsed(path)
        return f"{self.endpoint}/buckets/{bucket}/resolve/{quote(inner)}"

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The bytes of a file, or some of them, in one request."""
        if (start or 0) < 0 or (end or 0) < 0:
            return self.cat_file(path)[start:end]
        if end is not None and end <= (start or 0):
            return b""
        headers = build_hf_headers(token=self.token)
        if start or end is not None:
            headers["Range"] = f"bytes={start or 0}-{'' if end is None else end - 1}"
        with self._faults(_parsed(path)[0]):
            response = http_backoff("GET", self.url(path), headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
            if response.status_code == 416:  # it ends before
                return b""
            hf_raise_for_status(response)
            return bytes(response.content)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:  # noqa: ARG002
        """Writes a file."""
        self._add(path, value)

    def put_file(self, lpath: str, rpath: str, *_: Any, **__: Any) -> None:
        """Copies a file of this machine into the bucket."""
        self._add(rpath, str(lpath))

    def _add(self, path: str, source: bytes | str) -> None:
        bucket, inner = _parsed(path)
        with self._faults(bucket):
            try:
                self._api.batch_bucket_files(bucket, add=[(source, inner)])
            except (ConnectionError, RuntimeError):  # how hf_xet says that the hub gave it no leave to write
                self._ask_for_leave(bucket)
                raise
        self.invalidate_cache()

    def _ask_for_leave(self, bucket: str) -> None:
        """Raises what the hub answers to who wants to write, with its status."""
        url = f"{self.endpoint}/api/buckets/{bucket}/xet-write-token"
        hf_raise_for_status(get_session().get(url, headers=build_hf_headers(token=self.token)))

    def rm_file(self, path: str) -> None:
        """Removes a file."""
        bucket, inner = _parsed(path)
        with self._faults(bucket):
            self._api.batch_bucket_files(bucket, delete=[inner])
        self.invalidate_cache()

    def rm(self, path: str, *args: Any, **options: Any) -> None:
        """Removes a file, or all files below a folder."""
        with self._faults(_parsed(path)[0]):
            super().rm(path, *args, **options)

    @contextlib.contextmanager
    def _faults(self, bucket: str) -> Iterator[None]:
        try:
            yield
        except (BucketNotFoundError, RepositoryNotFoundError) as error:
            _refused(bucket, error)
        except FileNotFoundError as error:
            if isinstance(error.__cause__, BucketNotFoundError):
                _refused(bucket, error.__cause__)
            raise
        except EntryNotFoundError as error:
            raise FileNotFoundError(str(error)) from error
        except HfHubHTTPError as error:
            if error.response.status_code in {401, 403}:
                _refused(bucket, error)
            raise


def _refused(bucket: str, error: HfHubHTTPError) -> NoReturn:
    status = error.response.status_code
    if status in {401, 403}:
        raise PermissionError(
            f"the hub answers {status} for the bucket {bucket}: it is not there, or not for this login. {_LOG_IN}"
        ) from error
    raise StoreError(
        f"There is no bucket {bucket} on the hub, or not for this login. `hf buckets create {bucket}` makes it; or "
        f"{_LOG_IN[0].lower()}{_LOG_IN[1:]}."
    ) from error


def _parsed(path: str) -> tuple[str, str]:
    parts = path.removeprefix("hf://").strip("/").split("/")
    if len(parts) < 3 or parts[0] != "buckets":
        raise FileNotFoundError(f"{path} names no bucket: write hf://buckets/OWNER/NAME")
    return "/".join(parts[1:3]), "/".join(parts[3:])
