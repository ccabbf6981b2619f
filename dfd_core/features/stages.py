"""Which stage of extraction holds up the others, and how many cores a device needs to be kept busy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dfd_core.features.extraction import ShardReport

Stage = Literal["decode", "transfer", "forward"]


@dataclass(frozen=True)
class Stages:
    """Where the time of some shards went, all of one process or summed over several.

    Attributes:
        images: How many.
        seconds: Wall seconds, summed over processes.
        prepare_s: Thread-seconds of reading, decoding, augmenting and resizing.
        prepare_cpu_s: Of these, seconds on a CPU.
        wait_s: Seconds in which processes waited for prepared images.
        transfer_s: Seconds of transfers to a GPU.
        forward_s: Seconds in which devices computed.
    """

    images: int = 0
    seconds: float = 0.0
    prepare_s: float = 0.0
    prepare_cpu_s: float = 0.0
    wait_s: float = 0.0
    transfer_s: float = 0.0
    forward_s: float = 0.0

    @classmethod
    def of(cls, reports: Iterable[ShardReport]) -> Stages:
        """Sums reports."""
        total = cls()
        for report in reports:
            total += cls(
                report.samples,
                report.seconds,
                report.prepare_s,
                report.prepare_cpu_s,
                report.wait_s,
                report.transfer_s,
                report.forward_s,
            )
        return total

    def __add__(self, other: Stages) -> Stages:
        mine, theirs = vars(self).values(), vars(other).values()
        return Stages(*(a + b for a, b in zip(mine, theirs, strict=True)))

    @property
    def idle_fraction(self) -> float:
        """The share of wall time in which the device computed nothing."""
        return max(0.0, 1 - self.forward_s / self.seconds) if self.seconds else 0.0

    @property
    def bottleneck(self) -> Stage:
        """The stage that would have to become faster: what the others wait for."""
        if self.wait_s > 0.1 * self.seconds:
            return "decode"
        return "transfer" if self.transfer_s > self.forward_s else "forward"

    @property
    def cores_per_device(self) -> float:
        """CPU cores that would prepare images as fast as one device computes them."""
        return self.prepare_cpu_s / self.forward_s if self.forward_s else 0.0
