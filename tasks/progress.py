"""Progress of long work, in the dashboard and in the log."""

from __future__ import annotations

import contextvars
import datetime
import logging
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Any
from uuid import UUID

from prefect.artifacts import update_progress_artifact

from dfd_core.features.extraction import ShardReport
from dfd_core.features.planning import ExtractionPlan
from dfd_core.progress import Bytes
from dfd_core.wording import counted, duration
from tasks import cancelling
from tasks.artifacts import LiveTable, start_progress
from tasks.rates import Rates

EVERY_S = 2.0
LOG_EVERY_S = 5.0
TABLE_EVERY_S = 10.0
QUIET_S = 30.0
"""Between lines in the log while no shard comes in."""

LAST_WORDS_S = 3.0
"""For the dashboard when a run fails or is cancelled; a server that hangs must not hold up the end."""

Logger = logging.Logger | logging.LoggerAdapter[Any]


class ExtractionProgress:
    """A bar for each feature set and one table of the actors in the dashboard, and a line in the log.

    They are moved by a thread of their own, so that a slow server never holds up the work, and an extraction in which
    nothing comes in says so.

    Args:
        plan: What is to be extracted.
        images: How many images that are.
        logger: Gets the lines.
        run: The run's name, which the table's begins with.
    """

    def __init__(self, plan: ExtractionPlan, images: int, logger: Logger, run: str = "") -> None:
        self.plan, self.logger = plan, logger
        self.rates = Rates(images)
        self.done: Counter[str] = Counter(plan.done)
        self.bars: dict[str, UUID] = {}
        self.table = LiveTable(
            f"{run}-extraction", "Images a second of each extraction actor over the last half minute"
        )
        self.changed: set[str] = set()
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.logged, self.last_line_s = 0, time.monotonic()
        self.reached = True
        self.thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._tell,), name="dfd-progress", daemon=True
        )

    def __enter__(self) -> ExtractionProgress:
        for feature_set in self.plan.feature_sets:
            folder = feature_set.folder
            self.bars[folder] = start_progress(folder, self._percent(folder), feature_set.title)
        self.table.write(self._rows(), self._description())
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self._log()
        self.thread.join(timeout=None if kind is None else LAST_WORDS_S)
        failures = self.rates.failures()
        if failures:
            self.logger.warning(
                "%s without a vector in some feature set: %s", counted(self.rates.failed, "image"), failures
            )

    def on_shard(self, report: ShardReport) -> None:
        """Counts a finished shard."""
        with self.lock:
            self.rates.add(report)
            for folder in report.failures:  # all that the shard was computed for
                self.done[folder] += report.samples
                self.changed.add(folder)

    def throughput_rows(self) -> list[dict[str, Any]]:
        """A row for all and one per actor over the whole extraction, for a table artifact."""
        with self.lock:
            return self.rates.rows(final=True)

    def _tell(self) -> None:
        began = time.monotonic()
        last = dict.fromkeys((self._move_bars, self._write_table, self._log_now_and_then), began)
        every_s = (max(EVERY_S, len(self.bars) / 4), TABLE_EVERY_S, LOG_EVERY_S)
        while not self.over.wait(0.5):
            for act, interval_s in zip(last, every_s, strict=True):
                if time.monotonic() - last[act] >= interval_s and not self.over.is_set():
                    last[act] = time.monotonic()
                    self._try(act)
        for act in (self._move_bars, self._write_table):  # after a fault too, or what stood there would stay
            self._try(act)

    def _try(self, act: Any) -> None:
        try:
            act()
            self.reached = True
        except Exception as error:  # whatever the server has, the extraction goes on without its bars
            if self.reached:
                self.logger.warning("The dashboard's progress can't be moved at the moment: %s", error)
            self.reached = False

    def _percent(self, folder: str) -> float:
        return round(100 * self.done[folder] / max(self.plan.total[folder], 1), 1)

    def _move_bars(self) -> None:
        with self.lock:
            moved = {folder: self._percent(folder) for folder in sorted(self.changed)}
            self.changed.clear()
        for folder, percent in moved.items():
            update_progress_artifact(self.bars[folder], percent)

    def _write_table(self) -> None:
        self.table.write(self._rows(), self._description())

    def _rows(self) -> list[dict[str, Any]]:
        with self.lock:
            return self.rates.rows()

    def _description(self) -> str:
        with self.lock:
            seconds, left, line = self.rates.seconds_left(), self.rates.left, self.rates.line()
        if not left or seconds is None:
            return line
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        return f"{line}. Expected end: {end:%Y-%m-%d %H:%M} UTC"

    def _log_now_and_then(self) -> None:
        now = time.monotonic()
        if self.rates.handled != self.logged or now - self.last_line_s >= QUIET_S:
            self._log()

    def _log(self) -> None:
        with self.lock:
            line, self.logged = self.rates.line(), self.rates.handled
        self.last_line_s = time.monotonic()
        self.logger.info(line)


class CountProgress:
    """One progress artifact and a line in the log every few seconds, for work that is counted in one unit, or in bytes.

    Args:
        title: What is being done.
        unit: What is counted, in the plural, unless it is `Bytes`.
        logger: Gets the lines.
        total: How many there will be, if that is known beforehand.
    """

    def __init__(self, title: str, unit: str, logger: Logger, total: int = 0) -> None:
        self.title, self.unit, self.logger, self.total = title, unit, logger, total
        self.done = 0
        self.artifact: UUID | None = None
        self.last_update_s = self.last_line_s = time.monotonic()
        self.began_s: float | None = None  # when bytes were first reported
        self.there = 0  # how many there were then

    def __enter__(self) -> CountProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.total:
            self._write(time.monotonic(), final=True)

    def advance(self, n: int = 1) -> None:
        """So many more are done."""
        self.update(self.done + n, self.total)

    def update(self, done: int, total: int) -> None:
        """So many are done.

        Raises:
            RunCancelledError: Somebody asked the run to stop.
        """
        cancelling.checkpoint()
        self.done, self.total = done, total
        now = time.monotonic()
        if not isinstance(total, Bytes) or done < self.there:
            self.began_s, self.there = None, 0
        elif self.began_s is None:
            self.began_s, self.there = now, done
        if now - self.last_update_s >= EVERY_S:
            self._write(now, final=False)

    def _write(self, now: float, final: bool) -> None:
        percent = round(100 * self.done / max(self.total, 1), 1)
        line = self._line(now)
        if self.artifact is None:
            self.artifact = start_progress(self.title, percent, line)
        else:
            update_progress_artifact(self.artifact, percent, line)
        if final or now - self.last_line_s >= LOG_EVERY_S:
            self.logger.info(line)
            self.last_line_s = now
        self.last_update_s = now

    def _line(self, now: float) -> str:
        if not isinstance(self.total, Bytes):
            unit = "" if self.unit == self.title else f" {self.unit}"
            return f"{self.title}: {self.done:,} of {self.total:,}{unit}"
        line = f"{self.title}: {Bytes(self.done)} of {self.total}"
        if self.began_s is None or self.done == self.there or now == self.began_s:
            return line
        rate = (self.done - self.there) / (now - self.began_s)
        left = f", about {duration((self.total - self.done) / rate)} left" if self.done < self.total else ""
        return f"{line}, {Bytes(int(rate))}/s{left}"
