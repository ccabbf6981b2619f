"""What carries out the jobs of a run: a plain loop, or one that drives a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")
Work = Callable[[Any, Any], Result]
"""What is called with the facts that all jobs share, and a job."""
OnResult = Callable[[int, Result], None]
"""Called with each job's index and result as it comes."""
Errors = dict[int, Exception]
"""Of the jobs that failed, by index."""


class Engine(Protocol):
    """What carries out jobs that don't depend on each other."""

    @property
    def workers(self) -> int:
        """How many jobs run at once."""

    def map(self, work: Work[Result], shared: Any, jobs: Sequence[Any], on_result: OnResult[Result]) -> Errors:
        """Calls `work(shared, job)` for every job; returns the errors of those that failed."""


def raise_first(errors: Mapping[int, Exception]) -> None:
    """Raises the error of the first job that failed, if any did."""
    for _, error in sorted(errors.items()):
        raise error
