"""Actors that are silent for too long: they are asked whether they live, long before a shard's time is up.

A process that is stopped, or in which a call never gives up the interpreter's lock, does not answer. One whose network
hangs on its device does, and is given the shard's whole time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tasks.in_flight import Worker
from tasks.settings import EngineSettings

TIMES_USUAL = 10
"""So many times the longest that any of its shards took so far is unusual."""


class ActorHangsError(Exception):
    """An actor that did not answer in time."""


class Hanging:
    """Judges actors by how long they have been silent.

    Args:
        settings: The times.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.limit_s, self.silent_s = settings.shard_timeout_s, settings.ask_after_s
        self.ask_every_s, self.answer_within_s = settings.ask_after_s / 5, settings.ask_after_s * 2 / 5

    def verdict(self, worker: Worker) -> ActorHangsError | None:
        """Why an actor has to be taken for dead, if it has."""
        now = time.monotonic()
        if not worker.given:
            return None
        if now - worker.since_s > self.limit_s:
            return ActorHangsError(f"no answer within {self.limit_s:g} s, which is DFD_SHARD_TIMEOUT_S")
        no_shard_since = worker.since_s <= worker.asked_s
        if worker.pulse is not None and no_shard_since and now - worker.asked_s > self.answer_within_s:
            return ActorHangsError(
                f"no shard for {now - worker.since_s:.0f} s, and its process has not answered for "
                f"{now - worker.asked_s:.0f} s"
            )
        return None

    def ask_if_overdue(self, worker: Worker, ask: Callable[[], Any]) -> bool:
        """Asks an actor that is silent for unusually long, now and then; whether it did."""
        now = time.monotonic()
        too_long_s = max(self.silent_s, TIMES_USUAL * worker.longest_s)
        if not worker.given or worker.pulse is not None or now - worker.since_s < too_long_s:
            return False
        if worker.asked_s > worker.since_s and now - worker.asked_s < self.ask_every_s:
            return False
        worker.pulse, worker.asked_s = ask(), now
        return True
