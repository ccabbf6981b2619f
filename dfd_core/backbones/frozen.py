"""A frozen torch network behind its transform, whichever library built it and whichever runtime carries it out."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dfd_core.backbones import gpu
from dfd_core.backbones.runtimes import RUNTIMES
from dfd_core.backbones.runtimes.arithmetic import float32_inside
from dfd_core.backbones.runtimes.calibration import REFERENCE, calibrated
from dfd_core.backbones.runtimes.cosines import cosines
from dfd_core.backbones.runtimes.memory import Shortages, lacks_memory
from dfd_core.backbones.runtimes.workload import Workload
from dfd_core.backbones.specs import Agreement, Busy, ResolvedBackbone
from dfd_core.backbones.transforms import SplitTransform, Transform
from dfd_core.cache import cache_root
from dfd_core.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FrozenNetwork", "RunOn", "Transform", "tensor_digest", "undisturbed_seed"]

SCALED_AT_ONCE = 32  # images, at least; those of the largest batch that calibration tries on a CPU
_seeding = threading.RLock()


@dataclass(frozen=True)
class RunOn:
    """Where and how a network runs; apart from rounding, nothing here changes a vector.

    Attributes:
        device: In torch's words.
        runtime: A runtime's name, or `auto` for the fastest one that is installed.
        batch_size: Images in one forward pass; `None` finds it.
    """

    device: str = "cpu"
    runtime: str = "auto"
    batch_size: int | None = None


class FrozenNetwork:
    """A network in evaluation mode, without gradients, on one device.

    Args:
        resolved: What it is.
        module: The network: (B, 3, H, W) to (B, D).
        transform: The library's own: one RGB image to (3, H, W).
        where: Where and how it runs.

    Attributes:
        work: The torch network and how it is run; `None` once only a compiled form with weights of its own is needed.

    Raises:
        UsageError: There is no such device, or the runtime can't run this network.
    """

    def __init__(self, resolved: ResolvedBackbone, module: torch.nn.Module, transform: Transform, where: RunOn) -> None:
        self.resolved = resolved
        self.device = _checked_device(where.device)
        self.split = SplitTransform(transform, resolved.spec.resize)
        self.busy = Busy()
        self._shortages = Shortages(self.device)
        module = module.eval().requires_grad_(False).to(self.device)
        work = Workload(module, resolved.spec.precision, self.split.side, self.device)
        built_by = type(module).__module__.partition(".")[0]
        version = importlib.metadata.version({"open_clip": "open_clip_torch"}.get(built_by, built_by))
        folder = cache_root() / "runtimes" / resolved.key() / f"{built_by}-{version}"
        self._forward, self.calibration = calibrated(work, where.runtime, where.batch_size, folder)
        self.batch_size = self.calibration.batch_size
        is_used = self.calibration.runtime == REFERENCE or resolved.spec.precision != "float32"
        self.work: Workload | None = work if is_used else None

    @property
    def dimension(self) -> int:
        """D, the length of a feature vector."""
        return self.resolved.dimension

    def pixels_key(self, size: tuple[int, int]) -> str:
        """Backbones with the same key make the same pixels of an image of this width and height."""
        return self.split.key(size)

    def facts(self) -> dict[str, Any]:
        """How it runs, for provenance."""
        facts = {**asdict(self.calibration), "batch_size": self.batch_size, "device": str(self.device)}
        if self.calibration.runtime == REFERENCE:
            facts["float32_in"] = float32_inside(self.device)
        return facts

    def transform(self, image: Image) -> np.ndarray:
        """One RGB image resized and cropped as the network needs it: (H, W, 3) uint8."""
        return self.split.pixels(image)

    def scaled(self, inputs: Sequence[np.ndarray]) -> torch.Tensor:
        """Transformed images as the network takes them: (B, 3, H, W) float32 on its device."""
        return self.split.scaling.scaled(torch.from_numpy(np.stack(inputs)).to(self.device))

    def embed(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Transformed images as features: (B, D) float32."""
        return self.submit(inputs)()

    def submit(self, inputs: Sequence[np.ndarray]) -> Callable[[], np.ndarray]:
        """Starts the forward pass and returns what waits for its (B, D) float32.

        On a GPU the pass goes on while the caller does something else; on a CPU it is over when this returns. A batch
        that does not fit into memory is halved, for this call and those that follow, until larger ones fit again.
        """
        run = self._on_gpu if self.device.type == "cuda" else self._on_cpu
        parts: list[Callable[[], np.ndarray]] = []
        start = 0
        while start < len(inputs):
            part = inputs[start : start + self._at_once(inputs[start])]
            try:
                parts.append(run(part))
            except (RuntimeError, MemoryError) as error:
                smaller = self._shortages.after_one(self.batch_size, len(part), error) if lacks_memory(error) else None
                if smaller is None:
                    raise
                self.batch_size = smaller
            else:
                start += len(part)
                self.batch_size = self._shortages.after_success(self.batch_size, len(part))
                continue
            if self.device.type == "cuda":  # outside of the handler, whose traceback holds what did not fit
                gpu.transfers_to(self.device).release()

        def collect() -> np.ndarray:
            done = [part() for part in parts]
            return np.concatenate(done) if done else np.empty((0, self.dimension), dtype=np.float32)

        return collect

    def agreement(self, inputs: Sequence[np.ndarray]) -> Agreement | None:
        """How close a reduced precision stays to eager torch in float32 on these images; `None` for float32 itself.

        The comparison is made once; then the float32 weights are let go.
        """
        if self.resolved.spec.precision == "float32" or self.work is None or len(inputs) < 2:
            return None
        exact = RUNTIMES[REFERENCE].prepare(self.work.module, "float32", self.work.image_size, None)
        batch = self.scaled(inputs)
        expected = torch.cat([exact(batch[i : i + 8]).cpu() for i in range(0, len(batch), 8)])
        cosine, centred = cosines(torch.from_numpy(self.embed(inputs)), expected)
        if self.calibration.runtime != REFERENCE:
            self.work = None
        return Agreement(n=len(inputs), cosine=cosine, centred=centred)

    def _on_cpu(self, inputs: Sequence[np.ndarray]) -> Callable[[], np.ndarray]:
        busy, started = self.busy, time.perf_counter()
        scaled = self.split.scaling.scaled_here(inputs)
        batches = (scaled[start : start + self.batch_size] for start in range(0, len(inputs), self.batch_size))
        features = [self._forward(batch).numpy() for batch in batches]
        busy.forward_s += time.perf_counter() - started
        return lambda: np.concatenate(features)

    def _on_gpu(self, inputs: Sequence[np.ndarray]) -> Callable[[], np.ndarray]:
        def network(pixels: torch.Tensor) -> torch.Tensor:
            return self._forward(self.split.scaling.scaled(pixels))

        return gpu.start(network, inputs, self.batch_size, self.dimension, gpu.transfers_to(self.device), self.busy)

    def _at_once(self, one: np.ndarray) -> int:
        """Images that are scaled or copied at once.

        Several batches, so that networks with other batch sizes find them already there.
        """
        if self.device.type != "cuda":
            return max(1, SCALED_AT_ONCE // self.batch_size) * self.batch_size
        return self.batch_size if self._shortages.is_on else max(self.batch_size, gpu.images_at_once(one))


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
