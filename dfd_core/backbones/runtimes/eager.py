"""Torch itself, eager: the reference for every other runtime."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch

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
            with torch.inference_mode(), _arithmetic(batch.device, dtype):
                features: torch.Tensor = module(batch)
                return features.float()

        return forward


@contextlib.contextmanager
def _arithmetic(device: torch.device, dtype: torch.dtype | None) -> Iterator[None]:
    """Autocast, or exact float32: cuDNN rounds the factors of convolutions to TF32 unless told otherwise."""
    if dtype is not None:
        with torch.autocast(device.type, dtype):
            yield
    elif device.type == "cuda":
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    else:
        yield
