"""A frozen torch network behind its transform, whichever library built it."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from dfd_core.backbones.specs import ResolvedBackbone
from dfd_core.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

Transform = Callable[["Image"], torch.Tensor]
_seeding = threading.RLock()


class FrozenNetwork:
    """A network in evaluation mode, without gradients, on one device.

    Args:
        resolved: What it is.
        module: The network: (B, 3, H, W) to (B, D).
        transform: One RGB image to (3, H, W); must be without state, so that threads can share it.
        device: Where the network runs.

    Raises:
        UsageError: There is no such device.
    """

    def __init__(self, resolved: ResolvedBackbone, module: torch.nn.Module, transform: Transform, device: str) -> None:
        self.resolved = resolved
        self.device = _checked_device(device)
        self._transform = transform
        self._module = module.eval().requires_grad_(False).to(self.device)

    @property
    def dimension(self) -> int:
        """D, the length of a feature vector."""
        return self.resolved.dimension

    def transform(self, image: Image) -> torch.Tensor:
        """One RGB image as the network's input: (3, H, W) float32 on the CPU."""
        return self._transform(image)

    def embed(self, inputs: Sequence[torch.Tensor]) -> np.ndarray:
        """Transformed images as features: (B, D) float32."""
        if not inputs:
            return np.empty((0, self.dimension), dtype=np.float32)
        with torch.inference_mode(), _exact_float32(self.device):
            features = self._module(torch.stack(list(inputs)).to(self.device))
            result: np.ndarray = features.float().cpu().numpy()
        return result


@contextlib.contextmanager
def undisturbed_seed(seed: int = 0) -> Iterator[None]:
    """Seeds torch inside the block and leaves the process's generator as it was.

    The generator is one for the whole process, so only one thread at a time is inside.
    """
    with _seeding, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def tensor_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _checked_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"There is no device {name!r} here ({str(error).splitlines()[0]}). Use 'cpu'.") from error
    return device


@contextlib.contextmanager
def _exact_float32(device: torch.device) -> Iterator[None]:
    """Keeps convolutions on a GPU from rounding to TF32, which cuDNN does unless told otherwise."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
