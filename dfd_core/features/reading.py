"""Reading a sample's original bytes, and seeing that they are still the ones of the manifest."""

from __future__ import annotations

import hashlib

import dfd_core.datasets.archives.slices  # noqa: F401 - makes fsspec know slice://
from dfd_core.errors import ImageError, StoreError
from dfd_core.manifests.addresses import read_file
from dfd_core.manifests.unreadable import folder_gone, is_lasting, made_up_id
from dfd_core.specs import is_url
from dfd_core.statuses import CHANGED, MISSING


def read_original(url: str, sample_id: str) -> bytes:
    """The bytes behind a manifest's row.

    Args:
        url: A local path or any fsspec URL.
        sample_id: SHA-256 of the bytes, in hexadecimal.

    Raises:
        ImageError: `missing` where there is no such file or it may not be read, `changed` where its digest is another.
        StoreError: The place itself can't be reached, or the folder of the file is gone with it; worth another attempt.
    """
    try:
        data = read_file(url)
    except Exception as error:
        folder = folder_gone(error)
        if folder is not None and sample_id != made_up_id(url):  # else it was not there in the first place
            raise StoreError(
                f"Could not read {url}: its folder {folder} is gone. Mount or restore it, then run the same command "
                "again: what is finished is kept."
            ) from None  # its cause would say that no other attempt is worth it
        if is_lasting(error):
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise ImageError(MISSING, f"{url}: {reason}") from error
        if not isinstance(error, OSError) and not is_url(url):
            raise
        # clients of URLs have errors of their own, which are no fault of the image either
        raise StoreError(
            f"Could not read {url}: {type(error).__name__}: {error}. Check that its place can be reached, and run "
            "the same command again: what is finished is kept."
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != sample_id:
        raise ImageError(CHANGED, f"{url} has changed since the manifest was built (SHA-256 is now {digest[:12]}...)")
    return data
