"""Float32 that is float32, where a process lets torch round its factors to TF32 or bfloat16.

One line in any import (`torch.set_float32_matmul_precision("high")`) or a variable of the environment is enough to turn
the whole process's products to TF32. The old and the new switches of torch contradict each other easily, so only the
new ones are touched: they stand for one kind of operation each, and are what its kernels ask.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from dfd_core.errors import ExtractionError

EXACT = "ieee"


class _Held:
    """The switches of one kind of device, set while at least one thread is inside."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._before: dict[str, str] = {}
        self._algorithms = False, False

    def enter(self, device: torch.device) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = _read(device)
                self._algorithms = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
                _set(device, dict.fromkeys(self._before, EXACT), (False, True))
                if wrong := [f"{name} in {kind}" for name, kind in _read(device).items() if kind != EXACT]:
                    _set(device, self._before, self._algorithms)
                    raise ExtractionError(
                        f"Torch {torch.__version__} would compute float32 {', '.join(wrong)} on {device}, though told "
                        "to be exact. Take another version of torch, or `precision: bfloat16`."
                    )
            self._inside += 1

    def leave(self, device: torch.device) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                _set(device, self._before, self._algorithms)


_held: defaultdict[str, _Held] = defaultdict(_Held)


@contextlib.contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Inside, convolutions and matrix products of float32 are float32, and of several algorithms a fixed one is taken.

    The switches are the process's. Once no thread is inside any more, each reads as it did before.

    Raises:
        ExtractionError: Torch computes in something else all the same.
    """
    held = _held[device.type]
    held.enter(device)
    try:
        yield
    finally:
        held.leave(device)


def float32_inside(device: torch.device) -> dict[str, str]:
    """What torch says inside `exact_float32` that it computes float32 in, by kind of operation; for provenance."""
    with exact_float32(device):
        return _read(device)


def _switches(device: torch.device) -> Mapping[str, Any]:
    backends: Any = torch.backends  # has no types for these
    if device.type == "cuda":
        return {"conv": backends.cudnn.conv, "matmul": backends.cuda.matmul}
    if device.type == "cpu":
        return {"conv": backends.mkldnn.conv, "matmul": backends.mkldnn.matmul}
    return {}


def _read(device: torch.device) -> dict[str, str]:
    return {name: str(switch.fp32_precision) for name, switch in _switches(device).items()}


def _set(device: torch.device, values: Mapping[str, str], algorithms: tuple[bool, bool]) -> None:
    for name, switch in _switches(device).items():
        switch.fp32_precision = values[name]
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = algorithms
