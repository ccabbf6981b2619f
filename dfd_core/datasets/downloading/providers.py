"""From an address to an origin.

=================================== ==================================================================================
address                             where the bytes come from, and the login
=================================== ==================================================================================
`https://...`                       the server itself
`hf://datasets/OWNER/NAME/PATH`     the Hugging Face hub, by huggingface_hub: `hf auth login` or `HF_TOKEN`; with
                                    `@REVISION` after NAME a fixed one. The hub tells size and SHA-256
`hf://buckets/OWNER/NAME/PATH`      a bucket of the hub, with the same login
`gdrive://ID`                       a file of Google Drive, by gdown and with its cookies file
`kaggle://OWNER/NAME`               Kaggle, by kagglehub and with its login (`KAGGLE_API_TOKEN`, `kaggle.json`, ...):
                                    the version that is current at first, with `/versions/N` that one
`s3://`, `gs://`, `file://`, ...    any fsspec URL, with that client's login
=================================== ==================================================================================
"""

from __future__ import annotations

import fnmatch
import os
import re
from typing import Any

from dfd_core.datasets.downloading.buckets import FsspecOrigin
from dfd_core.datasets.downloading.origins import HttpOrigin, Origin
from dfd_core.errors import DownloadError, UnreachableError

_HUB = re.compile(r"hf://datasets/([^/@]+/[^/@]+)(?:@([^/]+))?/(.+)")


def open_origin(address: str) -> Origin:
    """The origin of a file.

    Raises:
        DownloadError: The address is not understood, or its file is not there.
        UnreachableError: Its provider does not answer.
    """
    if address.startswith(("http://", "https://")):
        return HttpOrigin(address)
    if address.startswith("hf://") and not address.startswith("hf://buckets/"):
        return _hub(address)
    if address.startswith("gdrive://"):
        from dfd_core.datasets.downloading.google_drive import drive_origin

        return drive_origin(address)
    if address.startswith("kaggle://"):
        from dfd_core.datasets.downloading.kaggle import kaggle_origin

        return kaggle_origin(address)
    return FsspecOrigin(address)


def expand(address: str) -> list[str]:
    """The files that an address with `*` stands for, sorted; an address without is itself.

    Raises:
        DownloadError: There is none.
        UnreachableError: The hub does not answer.
    """
    if "*" not in address:
        return [address]
    repo, revision, pattern = _parsed(address)
    names = _asked(address, lambda api: api.list_repo_files(repo, repo_type="dataset", revision=revision))
    found = sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))
    if not found:
        raise DownloadError(f"Nothing on the hub matches {address}. The dataset's page may tell of another layout.")
    prefix = address.removesuffix(pattern)
    return [prefix + name for name in found]


def _hub(address: str) -> Origin:
    import huggingface_hub

    repo, revision, path = _parsed(address)
    found = _asked(address, lambda api: api.get_paths_info(repo, [path], repo_type="dataset", revision=revision))
    if not found:
        raise DownloadError(f"There is no {address} on the hub. The dataset's page may have a newer address.")
    sha256 = found[0].lfs.sha256 if found[0].lfs else None
    endpoint = os.environ.get("HF_ENDPOINT")
    url = huggingface_hub.hf_hub_url(repo, path, repo_type="dataset", revision=revision, endpoint=endpoint)
    return HttpOrigin(url, huggingface_hub.HfApi()._build_hf_headers(), sha256)


def _asked(address: str, ask: Any) -> Any:
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        return ask(huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT")))
    except GatedRepoError as error:
        page = "https://huggingface.co/datasets/" + _parsed(address)[0]
        raise DownloadError(f"{address} is gated. Accept its terms at {page}, then `hf auth login`.") from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise DownloadError(f"{address} is not on the hub, or not for this login: {error}") from error
    except Exception as error:  # the hub's client has had three HTTP libraries, each with errors of its own
        raise UnreachableError(f"The hub does not answer for {address}: {error}") from error


def _parsed(address: str) -> tuple[str, str | None, str]:
    match = _HUB.fullmatch(address)
    if match is None:
        raise DownloadError(
            f"{address!r} is not an address; on the hub it is hf://datasets/OWNER/NAME[@REVISION]/PATH."
        )
    return match[1], match[2], match[3]
