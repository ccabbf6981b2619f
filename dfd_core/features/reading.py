"""Reading a sample's original bytes, and seeing that they are still the ones of the manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import fsspec

import dfd_core.datasets.archives.slices  # noqa: F401 - makes fsspec know slice://
from dfd_core.errors import ImageError, StoreError
from dfd_core.features.statuses import CHANGED, MISSING
from dfd_core.specs import is_url


def read_original(url: str, sample_id: str) -> bytes:
    """The bytes behind a manifest's row.

    Args:
        url: A local path or any fsspec URL.
        sample_id: SHA-256 of the bytes, in hexadecimal.

    Raises:
        ImageError: `missing` where there is no such file or it may not be read, `changed` where its digest is another.
        StoreError: The place itself can't be reached; worth another attempt.
    """
    try:
        if is_url(url):
            fs, path = fsspec.core.url_to_fs(url)
            data = bytes(fs.cat_file(path))
        else:
            data = Path(url).read_bytes()
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise ImageError(MISSING, f"{url}: {error.strerror or type(error).__name__}") from error
    except Exception as error:
        if not isinstance(error, OSError) and not is_url(url):
            raise
        # clients of URLs have errors of their own, which are no fault of the image either
        raise StoreError(
            f"Could not read {url}: {type(error).__name__}: {error}. See whether its place can be reached, and give "
            "the same command again: what is finished is kept."
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != sample_id:
        raise ImageError(CHANGED, f"{url} has changed since the manifest was built (SHA-256 is now {digest[:12]}...)")
    return data
