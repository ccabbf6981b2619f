"""Every error that dfd raises on purpose, in one tree.

::

    DfdError                     anything below; exit code 1
    ├── UsageError               what was asked for makes no sense; exit code 2
    │   ├── ConfigError          a configuration that can't be read or is not valid
    │   └── UnknownNameError     a name that no registry has
    ├── DatasetError             a dataset that can't be acquired or has not what is needed
    │   ├── AuditError           an audit with findings at or above `fail_on`; exit code 3
    │   ├── ManifestError        a manifest that can't be built or contradicts itself
    │   │   └── PlaceUnreachableError a place that does not answer; worth another attempt
    │   ├── ArchiveError         an archive that is not safe to unpack, or lacks what it should have
    │   │   └── DamagedArchiveError an archive that can't be read; another copy of it may be
    │   └── DownloadError        a file that can't be downloaded, or is not what it should be
    │       ├── UnreachableError a server that did not give it this time; worth another attempt
    │       ├── RefusedError     a server that says no
    │       └── WholeOnlyError   a file that can't be read in pieces
    ├── StoreError               a store that can't be read or written
    │   ├── StoreFullError       no space left
    │   └── StoreRefusedError    a store that does not let this user write or read
    ├── WeightsError             weights that are missing, changed or don't fit
    │   └── WeightsUnreachableError  a hub or store that did not answer; worth another attempt
    ├── ImageError               one image that can't be used; becomes a row, never ends a run
    ├── ExtractionError          an extraction that can't go on
    │   └── TooManyFailuresError more images failed than `max_failed_fraction` admits
    ├── EvaluationError          a training or test set from which no honest number can be made
    ├── EngineError              the Prefect server or the Ray cluster
    │   └── NoRoomError          an actor that asks for more than this machine has
    └── RunCancelledError        somebody asked the run to stop

A message says what happened, where, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DfdError(Exception):
    """Root of the tree."""

    exit_code = 1


class UsageError(DfdError):
    """The request itself is wrong; nothing was computed."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration that can't be read or does not validate."""


class UnknownNameError(UsageError):
    """A name that a registry does not hold; the message has the close matches and the whole list."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        by_lower = {one.lower(): one for one in self.known}
        close = [by_lower[one] for one in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
        hint = f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
        super().__init__(f"There is no {kind} named {name!r}.{hint} Known: {', '.join(self.known) or 'none'}.")

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str]]]:
        return type(self), (self.kind, self.name, self.known)


class DatasetError(DfdError):
    """A dataset that can't be acquired or lacks what is needed."""


class AuditError(DatasetError):
    """An audit with findings at or above `fail_on`; the audit itself was made."""

    exit_code = 3


class ManifestError(DatasetError):
    """A manifest that can't be built or contradicts itself."""


class PlaceUnreachableError(ManifestError):
    """A place that did not answer when its files were listed or read."""


class ArchiveError(DatasetError):
    """An archive that lacks what it should have, or has a member that would not be safe to unpack."""


class DamagedArchiveError(ArchiveError):
    """An archive that can't be read, or not to its end."""


class DownloadError(DatasetError):
    """A file that can't be downloaded, or has another size or digest than it should have."""


class UnreachableError(DownloadError):
    """A server that did not give a file this time."""


class RefusedError(DownloadError):
    """A server that says no, or answers with a page; another address of the same file may do."""


class WholeOnlyError(DownloadError):
    """A file that can't be read in pieces, but perhaps downloaded whole."""


class StoreError(DfdError):
    """A store that can't be read or written."""


class StoreFullError(StoreError):
    """No space left in the store."""


class StoreRefusedError(StoreError):
    """A store that is mounted read-only, or for which this user has no rights; another attempt changes nothing."""


class WeightsError(DfdError):
    """Weights that are missing, have another digest than stated, or don't fit the architecture."""


class WeightsUnreachableError(WeightsError):
    """A hub or store that did not give the weights this time."""


class ImageError(DfdError):
    """One image that can't be used.

    Args:
        status: The reason in one word, as it stands in the `status` column of a feature file.
        message: What was found, for the `error` column.
    """

    def __init__(self, status: str, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(f"{status}: {message}")

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.status, self.message)


class ExtractionError(DfdError):
    """An extraction that can't go on."""


class TooManyFailuresError(ExtractionError):
    """More samples failed than `max_failed_fraction` admits."""


class EvaluationError(DfdError):
    """A training or test set from which no honest number can be made."""


class EngineError(DfdError):
    """The Prefect server or the Ray cluster is missing, too small or gone."""


class NoRoomError(EngineError):
    """An actor that asks for more than this machine has; another attempt changes nothing."""


class RunCancelledError(DfdError):
    """Somebody asked the run to stop; what is finished is kept."""
