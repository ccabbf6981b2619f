"""Files behind addresses that their provider makes for the moment: signed ones, or ones that belong to cookies."""

from __future__ import annotations

import importlib.metadata
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import NamedTuple, TypeVar

from dfd_core.datasets.downloading.origins import TIMEOUT_S, Facts, HttpOrigin, TransientFault
from dfd_core.errors import DownloadError, RefusedError
from dfd_core.wording import how_to_install

T = TypeVar("T")


class Signed(NamedTuple):
    """What a provider answers.

    Attributes:
        origin: The file, under the address of the moment.
        version: The provider's name of this content, which is kept with the stamp; `None` where it has none.
    """

    origin: HttpOrigin
    version: str | None = None


class SignedOrigin:
    """A file whose address expires.

    The provider is asked when the file is first needed, and once more by each attempt whose address is refused: so a
    download may take longer than a signature lasts. It ends where a new address is refused that never worked.

    Args:
        address: What a person calls it. The address of the moment is in no message, log or record.
        sign: Asks the provider; raises as `Origin.facts` does. Every answer must be of the same version.
    """

    stamps_every_range = True

    def __init__(self, address: str, sign: Callable[[], Signed]) -> None:
        self.address, self.sign = address, sign
        self.lock = threading.Lock()
        self.answers: list[Signed] = []
        self.worked: set[HttpOrigin] = set()

    def facts(self) -> Facts:
        """See `Origin`; the stamp begins with the version."""
        (facts,) = self._patiently(lambda signed: iter([_told(signed, signed.origin.facts())]))
        return facts

    def read(self, start: int, stop: int | None, facts: Facts) -> Iterator[bytes]:
        """See `Origin`."""
        return self._patiently(lambda signed: signed.origin.read(start, stop, _asked(signed, facts)))

    def close(self) -> None:
        """See `Origin`."""
        for answer in self.answers:
            answer.origin.close()

    def _patiently(self, act: Callable[[Signed], Iterator[T]]) -> Iterator[T]:
        signed = self._signed(None)
        try:
            yield from self._noting(signed, act)
            return
        except RefusedError:  # which comes before the first piece
            signed = self._signed(signed)
        try:
            yield from self._noting(signed, act)
        except RefusedError as refusal:
            if signed.origin not in self.worked:
                raise
            raise TransientFault(str(refusal)) from refusal  # it has expired already, or was asked too often

    def _noting(self, signed: Signed, act: Callable[[Signed], Iterator[T]]) -> Iterator[T]:
        for piece in act(signed):
            self.worked.add(signed.origin)
            yield piece

    def _signed(self, refused: Signed | None) -> Signed:
        """The address of the moment: a new one where there is none yet, or it is the one that was refused."""
        with self.lock:
            if not self.answers or self.answers[-1] is refused:
                self.answers.append(self.sign())  # threads may still read from the one before
            return self.answers[-1]


def _told(signed: Signed, facts: Facts) -> Facts:
    if signed.version is None or facts.stamp is None:
        return facts
    return facts._replace(stamp=f"{signed.version} {facts.stamp}")


def _asked(signed: Signed, facts: Facts) -> Facts:
    if signed.version is None or facts.stamp is None:
        return facts
    return facts._replace(stamp=facts.stamp.removeprefix(f"{signed.version} "))


def within(act: Callable[[], T], what: str, timeout_s: float = TIMEOUT_S) -> T:
    """What a provider's client answers, which has no time limit of its own.

    Args:
        act: Asks.
        what: Who is asked, for the message.
        timeout_s: How long to wait; a thread that still waits then is left behind.

    Raises:
        TransientFault: It does not answer in time.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="dfd-provider", daemon=True).start()
    try:
        return future.result(timeout_s)
    except TimeoutError:
        raise TransientFault(f"{what} does not answer within {timeout_s:.0f} s") from None


def not_installed(address: str, package: str) -> DownloadError:
    """The error where a provider's client is missing."""
    return DownloadError(f"{address} needs {package}, which is not installed: {how_to_install('providers')} brings it.")


def another_client(address: str, package: str, error: BaseException) -> DownloadError:
    """The error where a provider's client is not built as it was when this was written."""
    version = importlib.metadata.version(package)
    return DownloadError(
        f"{address} can't be asked for: {package} {version} is not the {package} that dfd knows ({error}). Install "
        "the versions of requirements.lock, or unpack the files yourself and name the folder under `folders:`."
    )
