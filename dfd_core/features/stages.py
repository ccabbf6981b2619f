"""Which stage of extraction holds up the others, and how many cores a device needs to be kept busy."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Literal

Stage = Literal["decode", "transfer", "forward", "write"]


@dataclass(frozen=True)
class Stages:
    """Where the time of some shards went, all of one process or summed over several.

    Shards overlap: while the networks work on one, the next is prepared and the one before is written.

    Attributes:
        images: How many.
        wall_s: Wall seconds of the networks' thread, waiting included, so that those of several shards don't overlap;
            summed over processes.
        prepare_s: Thread-seconds of reading, decoding, augmenting and resizing.
        prepare_cpu_s: Of these, seconds on a CPU; the rest is waiting for files.
        wait_s: Seconds in which processes waited for prepared images.
        transfer_s: Seconds of transfers to a GPU, which go on beside the networks.
        forward_s: Seconds in which devices computed. On a GPU from the first to the last kernel of each batch, so that
            idling for want of launches counts as busy.
        write_s: Seconds in which processes wrote files; those of threads that write side by side count once.
    """

    images: int = 0
    wall_s: float = 0.0
    prepare_s: float = 0.0
    prepare_cpu_s: float = 0.0
    wait_s: float = 0.0
    transfer_s: float = 0.0
    forward_s: float = 0.0
    write_s: float = 0.0

    def __add__(self, other: Stages) -> Stages:
        mine, theirs = vars(self).values(), vars(other).values()
        return Stages(*(a + b for a, b in zip(mine, theirs, strict=True)))

    @property
    def idle_fraction(self) -> float:
        """The share of wall time in which the device computed nothing."""
        whole_s = max(self.wall_s, self.write_s)  # the networks' thread stands still where writing holds up all
        return max(0.0, 1 - self.forward_s / whole_s) if whole_s else 0.0

    @property
    def bottleneck(self) -> Stage:
        """The stage that would have to become faster: what the others wait for."""
        if self.write_s > self.wall_s:
            return "write"
        if self.wait_s > 0.1 * self.wall_s or not self.forward_s:
            return "decode"
        return "transfer" if self.transfer_s > self.forward_s else "forward"

    @property
    def cores_per_device(self) -> float:
        """CPU cores that would prepare images as fast as one device computes them."""
        return self.prepare_cpu_s / self.forward_s if self.forward_s else 0.0


class SharedClock:
    """Seconds in which at least one of several threads was at work, each second counted once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work, self._counted_until_s = 0, 0.0

    def begin(self) -> None:
        """A thread starts."""
        with self._lock:
            if not self._at_work:
                self._counted_until_s = time.perf_counter()
            self._at_work += 1

    def end(self) -> float:
        """A thread ends; the seconds that no other thread has counted."""
        with self._lock:
            before_s, self._counted_until_s = self._counted_until_s, time.perf_counter()
            self._at_work -= 1
            return self._counted_until_s - before_s
