"""Progress of long work, in the dashboard and in the log."""

from __future__ import annotations

import logging
import time
from collections import Counter
from types import TracebackType
from typing import Any
from uuid import UUID

from prefect.artifacts import update_progress_artifact

from dfd_core.features.extraction import ShardReport
from dfd_core.features.planning import ExtractionPlan, Shard
from tasks.artifacts import start_progress

EVERY_S = 2.0
LOG_EVERY_S = 5.0

Logger = logging.Logger | logging.LoggerAdapter[Any]


class ExtractionProgress:
    """One progress artifact per feature set, moved as shards come in, and a line in the log every few seconds.

    Args:
        plan: What is to be extracted.
        logger: Gets the lines.
    """

    def __init__(self, plan: ExtractionPlan, logger: Logger) -> None:
        self.plan, self.logger = plan, logger
        self.shards: dict[str, Shard] = {shard.name: shard for shard in plan.shards}
        self.done: Counter[str] = Counter(plan.done)
        self.failed: Counter[str] = Counter()
        self.images, self.images_total = 0, sum(len(shard) for shard in plan.shards)
        self.workers: Counter[str] = Counter()
        self.artifacts: dict[str, UUID] = {}
        self.changed: set[str] = set()
        self.started = self.last_update = self.last_line = time.monotonic()

    def __enter__(self) -> ExtractionProgress:
        for feature_set in self.plan.feature_sets:
            folder = feature_set.folder
            self.artifacts[folder] = start_progress(folder, self._percent(folder), feature_set.title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._update_artifacts()
            self._log()

    def on_shard(self, report: ShardReport) -> None:
        """Counts a finished shard."""
        for target in self.shards[report.shard].targets:
            self.done[target.folder] += report.samples
            self.failed[target.folder] += sum(report.failures.get(target.folder, {}).values())
            self.changed.add(target.folder)
        if not self.images:  # loading the networks is no part of the rate
            self.started = time.monotonic() - report.seconds
        self.images += report.samples
        self.workers[report.worker] += report.samples
        now = time.monotonic()
        if now - self.last_update >= EVERY_S:
            self._update_artifacts()
            self.last_update = now
        if now - self.last_line >= LOG_EVERY_S:
            self._log()
            self.last_line = now

    @property
    def images_per_s(self) -> float:
        """Images a second since the start, all actors together."""
        return self.images / max(time.monotonic() - self.started, 1e-9)

    def throughput_rows(self) -> list[dict[str, Any]]:
        """A row per actor and one for all, for a table artifact."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        rows = [
            {"actor": worker, "images": images, "images_per_s": round(images / seconds, 1)}
            for worker, images in sorted(self.workers.items())
        ]
        return [*rows, {"actor": "all", "images": self.images, "images_per_s": round(self.images_per_s, 1)}]

    def _percent(self, folder: str) -> float:
        return round(100 * self.done[folder] / max(self.plan.total[folder], 1), 1)

    def _update_artifacts(self) -> None:
        for folder in sorted(self.changed):
            update_progress_artifact(self.artifacts[folder], self._percent(folder))
        self.changed.clear()

    def _log(self) -> None:
        left = self.images_total - self.images
        self.logger.info(
            "Extracted %d of %d images, %.3g images/s, %d without a vector, about %.0f s left",
            self.images, self.images_total, self.images_per_s, max(self.failed.values(), default=0),
            left / max(self.images_per_s, 1e-9),
        )  # fmt: skip


class CountProgress:
    """One progress artifact and a line in the log every few seconds, for work that is counted in one unit.

    Args:
        title: What is being done.
        unit: What is counted, in the plural.
        logger: Gets the lines.
        total: How many there will be, if that is known beforehand.
    """

    def __init__(self, title: str, unit: str, logger: Logger, total: int = 0) -> None:
        self.title, self.unit, self.logger, self.total = title, unit, logger, total
        self.done = 0
        self.artifact: UUID | None = None
        self.last_update = self.last_line = time.monotonic()

    def __enter__(self) -> CountProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.total:
            self._write(time.monotonic(), final=True)

    def advance(self) -> None:
        """One more is done."""
        self.update(self.done + 1, self.total)

    def update(self, done: int, total: int) -> None:
        """So many are done."""
        self.done, self.total = done, total
        now = time.monotonic()
        if now - self.last_update >= EVERY_S:
            self._write(now, final=False)

    def _write(self, now: float, final: bool) -> None:
        percent = round(100 * self.done / max(self.total, 1), 1)
        if self.artifact is None:
            self.artifact = start_progress(self.title, percent, self.title)
        else:
            update_progress_artifact(self.artifact, percent)
        if final or now - self.last_line >= LOG_EVERY_S:
            self.logger.info("%s: %d of %d %s", self.title, self.done, self.total, self.unit)
            self.last_line = now
        self.last_update = now
