"""Datasets of Kaggle: kagglehub's client logs in, tells the current version, and has its archive's address signed.

kagglehub itself reads an archive in one stream and unpacks it into a cache of its own; so only the address is asked of
it, and the bytes come as all others do.
"""

from __future__ import annotations

from typing import Any

from dfd_core.datasets.downloading.origins import (
    PASSING,
    HttpOrigin,
    Origin,
    TransientFault,
    retry_after,
)
from dfd_core.datasets.downloading.signed import Signed, SignedOrigin, another_client, not_installed, within
from dfd_core.errors import DownloadError

_LOGIN = (
    "Log in: make a token at https://www.kaggle.com/settings/api, and put it into KAGGLE_API_TOKEN or "
    "~/.kaggle/access_token (KAGGLE_USERNAME and KAGGLE_KEY, ~/.kaggle/kaggle.json and kagglehub.login() do too)"
)


def kaggle_origin(address: str) -> Origin:
    """The origin of `kaggle://OWNER/NAME` or `kaggle://OWNER/NAME/versions/N`.

    Raises:
        DownloadError: kagglehub is missing, or the address is not understood.
    """
    try:
        import kagglehub  # noqa: F401
    except ModuleNotFoundError as error:
        raise not_installed(address, "kagglehub") from error
    try:
        from kagglehub.handle import parse_dataset_handle

        return SignedOrigin(address, _Asking(address, parse_dataset_handle(address.removeprefix("kaggle://"))))
    except ImportError as error:
        raise another_client(address, "kagglehub", error) from error
    except ValueError as error:
        raise DownloadError(
            f"{address!r} is not an address ({error}); on Kaggle it is kaggle://OWNER/NAME or "
            "kaggle://OWNER/NAME/versions/N."
        ) from error


class _Asking:
    """Asks for the signed address of a dataset's archive, always of the version that was current at first.

    Args:
        address: Ours.
        handle: kagglehub's.
    """

    def __init__(self, address: str, handle: Any) -> None:
        self.address, self.handle = address, handle

    def __call__(self) -> Signed:
        import requests

        try:
            url = within(self._ask, "Kaggle")
        except requests.HTTPError as error:  # messages of requests have addresses in them, which may be signed
            raise self._fault(error) from None
        except requests.RequestException as error:
            raise TransientFault(f"Kaggle does not answer: {type(error).__name__}") from None
        except (ImportError, AttributeError, TypeError) as error:
            raise another_client(self.address, "kagglehub", error) from error
        except ValueError as error:  # a kaggle.json that is none
            raise DownloadError(f"{self.address} can't be asked for: {error}. {_LOGIN}.") from error
        return Signed(HttpOrigin(url, address=self.address), f"versions/{self.handle.version}")

    def _ask(self) -> str:
        from kagglehub.clients import build_kaggle_client
        from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest, ApiGetDatasetRequest

        with build_kaggle_client() as client:
            datasets = client.datasets.dataset_api_client
            if not self.handle.is_versioned():
                current = ApiGetDatasetRequest()
                current.owner_slug, current.dataset_slug = self.handle.owner, self.handle.dataset
                self.handle = self.handle.with_version(datasets.get_dataset(current).current_version_number)
            wanted = ApiDownloadDatasetRequest()
            wanted.owner_slug, wanted.dataset_slug = self.handle.owner, self.handle.dataset
            wanted.dataset_version_number = self.handle.version
            with datasets.download_dataset(wanted) as answer:  # its body is not read
                if not answer.history:
                    raise TypeError("the archive comes from the server itself, not from a signed address")
                return str(answer.url)

    def _fault(self, error: Any) -> Exception:
        """What a refusal means and what to do about it."""
        status, said = error.response.status_code, ""
        try:
            body = error.response.json()
            status, said = int(body.get("code", status)), str(body.get("message", ""))
        except (ValueError, AttributeError, TypeError):
            pass  # it says no more than its status
        if status in PASSING:
            return TransientFault(f"Kaggle answers {status}", retry_after(error.response.headers))
        page = f"https://www.kaggle.com/datasets/{self.handle.owner}/{self.handle.dataset}"
        advice = {
            401: f"it asks for a login, or does not accept yours. {_LOGIN}.",
            403: f"it does not let us. Open {page}, and accept its terms if it has any. {_LOGIN}.",
            404: f"there is no such dataset or version, or not for you. See {page}. For a private one: {_LOGIN}.",
        }.get(status, f"see {page}.")
        words = f" Kaggle says: {said}" if said else ""
        return DownloadError(f"{self.address} can't be downloaded ({status}): {advice}{words}")
