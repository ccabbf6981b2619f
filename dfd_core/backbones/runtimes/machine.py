"""The machine that speed is measured on: what it is, and whether it has its processors to spare."""

from __future__ import annotations

import hashlib
import os
import platform
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import torch

_TRIED_S = 0.05
_BLOCK = bytes(2**18)


def machine(device: torch.device) -> dict[str, object]:
    """What decides speed there: the device's name, or that of the CPU, and torch's threads."""
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else _cpu_name(),
        "threads": torch.get_num_threads(),
    }


def share_of_cpus() -> float:
    """The share of torch's threads' time that this process gets on the processors now; about 1 on an idle machine.

    As many threads as torch has compute for a moment, without Python's lock. What a network gets of its processors
    would not show it: small batches leave some of them idle, and threads that wait for each other may count as busy.
    """
    got_s: list[float] = []

    def work(until_s: float) -> None:
        began_s = time.thread_time()
        while time.perf_counter() < until_s:
            hashlib.sha256(_BLOCK).digest()
        got_s.append(time.thread_time() - began_s)

    started_s = time.perf_counter()
    threads = [threading.Thread(target=work, args=(started_s + _TRIED_S,)) for _ in range(torch.get_num_threads())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(got_s) / (len(threads) * (time.perf_counter() - started_s))


def _cpu_name() -> str:
    try:
        lines: Sequence[str] = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "flags"))]
    return " ".join(sorted(set(names))) or f"{platform.machine()} {os.cpu_count()}"
