"""What carries out the heavy work: a plain loop, or one that drives a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from dfd_core.features.extraction import ShardReport
from dfd_core.features.planning import ExtractionPlan
from dfd_core.features.spec import ExtractionSpec
from dfd_core.storage import Store

Result = TypeVar("Result")


class Engine(Protocol):
    """What carries out the two kinds of heavy work."""

    @property
    def workers(self) -> int:
        """How many jobs run at once."""

    def extract(
        self, store: Store, plan: ExtractionPlan, spec: ExtractionSpec, on_shard: Callable[[ShardReport], None]
    ) -> list[ShardReport]:
        """Computes the shards of a plan."""

    def map(
        self,
        function: Callable[..., Result],
        shared: Any,
        jobs: Sequence[Any],
        on_result: Callable[[int, Result], None],
    ) -> dict[int, Exception]:
        """Calls `function(shared, job)` for every job; returns the errors of those that failed, by index."""
