"""Float32 that is float32, where a process lets torch round its factors to TF32 or bfloat16.

One line in any import (`torch.set_float32_matmul_precision("high")`) or a variable of the environment is enough to turn
the whole process's products to TF32. The old and the new switches of torch contradict each other easily, so only the
new ones are touched: they stand for one kind of operation each, and are what its kernels ask.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from dfd_core.errors import ExtractionError

EXACT = "ieee"


@contextlib.contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Inside, convolutions and matrix products of float32 are float32, and of several algorithms a fixed one is taken.

    Afterwards each switch reads as it did before.

    Raises:
        ExtractionError: Torch computes in something else all the same.
    """
    switches = _switches(device)
    before = {name: switch.fp32_precision for name, switch in switches.items()}
    algorithms = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    try:
        for switch in switches.values():
            switch.fp32_precision = EXACT
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
        wrong = [f"{name} in {kind}" for name, kind in _read(switches).items() if kind != EXACT]
        if wrong:
            raise ExtractionError(
                f"Torch {torch.__version__} would compute float32 {', '.join(wrong)} on {device}, though told to be "
                "exact. Take another version of torch, or `precision: bfloat16`."
            )
        yield
    finally:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = algorithms
        for name, switch in switches.items():
            switch.fp32_precision = before[name]


def float32_inside(device: torch.device) -> dict[str, str]:
    """What torch says inside `exact_float32` that it computes float32 in, by kind of operation; for provenance."""
    with exact_float32(device):
        return _read(_switches(device))


def _switches(device: torch.device) -> Mapping[str, Any]:
    backends: Any = torch.backends  # has no types for these
    if device.type == "cuda":
        return {"conv": backends.cudnn.conv, "matmul": backends.cuda.matmul}
    if device.type == "cpu":
        return {"conv": backends.mkldnn.conv, "matmul": backends.mkldnn.matmul}
    return {}


def _read(switches: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(switch.fp32_precision) for name, switch in switches.items()}
