"""Torch itself, eager: the reference for every other runtime."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

from dfd_core.backbones.runtimes.arithmetic import exact_float32
from dfd_core.backbones.runtimes.protocol import Forward, Precision

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class TorchRuntime:
    """Eager torch; reduced precision by autocast, which keeps what is sensitive to it in float32."""

    name = "torch"

    def version(self) -> str:
        """Torch's version."""
        return str(torch.__version__)

    def offers(self, precision: Precision, device: torch.device) -> bool:  # noqa: ARG002
        """All precisions, on every device."""
        return True

    def prepare(
        self,
        module: torch.nn.Module,
        precision: Precision,
        image_size: int,  # noqa: ARG002
        cached_at: Path | None,  # noqa: ARG002
    ) -> Forward:
        """The module, called without gradients."""
        dtype = _DTYPES.get(precision)

        def forward(batch: torch.Tensor) -> torch.Tensor:
            reduced = torch.autocast(batch.device.type, dtype) if dtype else contextlib.nullcontext()
            with torch.inference_mode(), exact_float32(batch.device), reduced:
                features: torch.Tensor = module(batch)
                return features.float()

        return forward
