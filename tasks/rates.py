"""How fast images are extracted, by each actor and by all; what a shard costs here does not grow with the plan."""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dfd_core.features.extraction import ShardReport
from dfd_core.features.stages import Stages
from dfd_core.statuses import QUARANTINED
from dfd_core.wording import duration, figure, three_digits

WINDOW_S = 30.0
FEW_ACTORS = 4


def failed_by_status(report: ShardReport) -> Counter[str]:
    """Images of a shard without a vector by status, each status in the feature set where most have it.

    One that fails in different ways in different feature sets is in several, so they may add up to more images.
    """
    failed: Counter[str] = Counter()
    for counts in report.failures.values():
        failed |= Counter(counts)
    return failed


@dataclass
class ActorRate:
    """What one actor did, measured from the start of its own earliest shard, which need not be the first to come in.

    Attributes:
        started_s: When that was, in seconds of the monotonic clock.
    """

    started_s: float
    failed: int = 0
    stages: Stages = field(default_factory=Stages)
    last_s: float = 0.0
    recent: deque[tuple[float, float, int]] = field(default_factory=deque)
    """(when it came in, seconds, images) of the shards of the last half minute, but at least of the last."""

    def add(self, report: ShardReport, now: float) -> None:
        """Counts a shard that came in now."""
        self.failed += report.failed
        self.stages += report.stages
        self.last_s = now
        self.started_s = min(self.started_s, now - report.stages.wall_s)
        self.recent.append((now, report.stages.wall_s, report.samples))

    def mean(self) -> float:
        """Images a second up to its last shard."""
        return self.stages.images / max(self.last_s - self.started_s, self.stages.wall_s, 1e-9)

    def current(self, now: float) -> float:
        """Images a second over the last half minute, or over its last shard where that took longer; 0 when silent."""
        while len(self.recent) > 1 and self.recent[0][0] < now - WINDOW_S:
            self.recent.popleft()
        if not self.recent or self.is_silent(now):
            return 0.0
        began = min(end - seconds for end, seconds, _ in self.recent)
        worked_s = sum(seconds for _, seconds, _ in self.recent)  # of one thread; several may come in at one time
        return sum(images for *_, images in self.recent) / max(self.last_s - began, worked_s, 1e-9)

    def is_silent(self, now: float) -> bool:
        """Whether it is quiet for longer than its shards explain."""
        longest = max((seconds for _, seconds, _ in self.recent), default=0.0)
        return now - self.last_s > max(WINDOW_S, 3 * longest)


class Rates:
    """All actors of an extraction.

    Args:
        total: Images to extract.
        clock: Seconds; for tests.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.clock = total, clock
        self.actors: dict[str, ActorRate] = {}
        self.handled = self.quarantined = self.found = 0
        self.failed, self.failed_by_status = 0, Counter[str]()

    def add(self, report: ShardReport) -> None:
        """Counts a shard; one that was given up, or found finished in the store, is nobody's work."""
        now = self.clock()
        self.handled += report.samples
        self.failed += report.failed
        self.failed_by_status += failed_by_status(report)
        if any(QUARANTINED in counts for counts in report.failures.values()):
            self.quarantined += report.samples
        elif not report.stages.wall_s:
            self.found += report.samples
        else:
            actor = self.actors.setdefault(report.worker, ActorRate(now - report.stages.wall_s))
            actor.add(report, now)

    @property
    def left(self) -> int:
        """Images that nobody has handled yet."""
        return max(self.total - self.handled, 0)

    def current(self) -> float:
        """Images a second of all actors now."""
        now = self.clock()
        return sum(actor.current(now) for actor in self.actors.values())

    def mean(self) -> float:
        """Images a second of all actors from the first shard to the last."""
        if not self.actors:
            return 0.0
        seconds = max(a.last_s for a in self.actors.values()) - min(a.started_s for a in self.actors.values())
        seconds = max(seconds, *(actor.stages.wall_s for actor in self.actors.values()), 1e-9)
        return sum(actor.stages.images for actor in self.actors.values()) / seconds

    def seconds_left(self) -> float | None:
        """How long the rest takes at the present rate; `None` where nobody works."""
        rate = self.current()
        return self.left / rate if rate else None

    def line(self) -> str:
        """Images, images a second, failures, what is left, and the actors, in a line."""
        seconds = self.seconds_left()
        end = f" (about {duration(seconds)})" if self.left and seconds is not None else ""
        notes = [f"{n:,} {what}" for n, what in ((self.quarantined, "given up"), (self.found, "found finished")) if n]
        facts = [
            f"Extracted {self.handled:,} of {self.total:,} images" + (f" ({', '.join(notes)})" if notes else ""),
            f"{figure(self.current())} images/s",
            f"{self.failed:,} failed",
            f"{self.left:,} left{end}",
        ]
        return ", ".join(facts) + "; " + self._actors()

    def failures(self) -> str:
        """Failed images by status, in words; empty where there are none."""
        told = ", ".join(f"{n:,} {status}" for status, n in self.failed_by_status.most_common())
        overlap = self.failed_by_status.total() > self.failed
        return told + (" (some fail in different ways in different feature sets)" if overlap else "")

    def rows(self, final: bool = False) -> list[dict[str, Any]]:
        """A row for each actor and one for all, with the columns that were measured.

        Args:
            final: The rates of the whole extraction instead of the present ones, and where the time went.
        """
        actors = sorted(self.actors.items())
        timed = any(actor.stages.prepare_s for _, actor in actors)
        whole = _together([actor for _, actor in actors])
        rows = [self._row(name, actor, final, timed) for name, actor in actors]
        everything = self._row("all", whole, final, timed)
        everything["images/s"] = three_digits(self.mean() if final else self.current())
        if not final:
            seconds = self.seconds_left()
            everything["silent for"] = ""
            everything["left"] = f"{self.left:,} images" + (
                f", {duration(seconds)}" if self.left and seconds is not None else ""
            )
        if self.quarantined or self.found:
            outside = {"given up": self.quarantined, "found finished": self.found}
            rows += [{"actor": f"({what})", "images": images} for what, images in outside.items() if images]
        return [everything, *rows]

    def _row(self, name: str, actor: ActorRate, final: bool, timed: bool) -> dict[str, Any]:
        now = self.clock()
        row: dict[str, Any] = {"actor": name, "images": actor.stages.images}
        row["images/s"] = three_digits(actor.mean() if final else actor.current(now))
        row["failed"] = actor.failed
        stages = actor.stages
        if timed and final:
            row |= {"prepare s": round(stages.prepare_s, 1), "wait s": round(stages.wait_s, 1)}
            row |= {"transfer s": round(stages.transfer_s, 1), "forward s": round(stages.forward_s, 1)}
            row |= {"write s": round(stages.write_s, 1), "bottleneck": stages.bottleneck}
            row |= {"device idle": "", "cores to keep it busy": ""}
            if stages.forward_s:
                row["device idle"] = _share(stages.idle_fraction, 1)
                row["cores to keep it busy"] = three_digits(stages.cores_per_device)
        elif timed:
            row |= {
                "waits for images": _share(stages.wait_s, stages.wall_s),
                "in networks": _share(stages.forward_s, stages.wall_s),
            }
        if not final:
            row["silent for"] = duration(now - actor.last_s) if actor.is_silent(now) else ""
        return row

    def _actors(self) -> str:
        now = self.clock()
        rates = [actor.current(now) for _, actor in sorted(self.actors.items())]
        if not rates:
            return "no actor has finished a shard yet"
        if len(rates) <= FEW_ACTORS:
            spread = " + ".join(figure(rate) for rate in rates)
        else:
            spread = f"{figure(min(rates))} to {figure(max(rates))}, median {figure(statistics.median(rates))}"
        silent = [name for name, actor in sorted(self.actors.items()) if actor.is_silent(now)]
        more = f" and {len(silent) - FEW_ACTORS} more" if len(silent) > FEW_ACTORS else ""
        quiet = f"; silent for long: {', '.join(silent[:FEW_ACTORS])}{more}" if silent else ""
        return f"{len(rates)} actor{'s' * (len(rates) > 1)}: {spread} images/s{quiet}"


def _together(actors: Sequence[ActorRate]) -> ActorRate:
    whole = ActorRate(min((actor.started_s for actor in actors), default=0.0))
    for actor in actors:
        whole.failed += actor.failed
        whole.stages += actor.stages
        whole.last_s = max(whole.last_s, actor.last_s)
    return whole


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else ""
