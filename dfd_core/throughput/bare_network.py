"""The reference of `throughput`: a network as eager torch runs it in float32, on tensors that are ready in memory."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from dfd_core.backbones import BackboneSpec, load, resolve
from dfd_core.errors import ImageError, UsageError
from dfd_core.features.decoding import DecodePolicy, decode
from dfd_core.progress import Progress

USUAL_BATCH = 32
LEAST_HELD = 256
_WAITED_EVERY_S = 1.0


class BareNetwork:
    """Runs a network over as many images as there are, and holds no more of them than its largest batch needs.

    It holds the first `LEAST_HELD` images, or as many as its best batch has; with more images it goes over them again.

    Args:
        spec: The backbone.
        device: In torch's words.
        table: Images by `sample_id` and `url`, N of them.
        policy: How files are decoded.

    Attributes:
        n: N.
        usual_batch: 32, or N if that is less.
        best_batch: The fastest one of at most N images.
        inputs: (K, 3, H, W) float32 on the device.

    Raises:
        UsageError: An image can't be used, or there is no such device.
    """

    def __init__(self, spec: BackboneSpec, device: str, table: pa.Table, policy: DecodePolicy) -> None:
        from dfd_core.backbones.frozen import FrozenNetwork
        from dfd_core.backbones.runtimes import RUNTIMES
        from dfd_core.backbones.runtimes.workload import find_batch_size

        exact = spec.model_copy(update={"precision": "float32", "resize": "pillow"})
        backbone = load(resolve(exact), device, "torch", USUAL_BATCH)
        assert isinstance(backbone, FrozenNetwork), "only networks are measured"
        assert backbone.work is not None, "eager torch has the network itself"
        work = backbone.work
        self.n = len(table)
        self.forward = RUNTIMES["torch"].prepare(work.module, work.precision, work.image_size, None)
        self.usual_batch = min(USUAL_BATCH, self.n)
        self.best_batch = find_batch_size(self.forward, work, at_most=self.n).size
        urls = table["url"].to_pylist()[: max(LEAST_HELD, self.best_batch)]
        try:
            pixels = [backbone.transform(decode(Path(url).read_bytes(), policy)) for url in urls]
        except ImageError as error:
            raise UsageError(f"An image can't be used ({error}): give a folder of sound images.") from error
        self.inputs = backbone.scaled(pixels)

    @property
    def held(self) -> str:
        """What it holds, for readers."""
        size_bytes = self.inputs.numel() * self.inputs.element_size()
        return f"{len(self.inputs):,} ready images, {size_bytes / 2**20:,.0f} MiB"

    def run(self, batch: int, progress: Progress) -> np.ndarray:
        """Runs over exactly N images, the last batch of each round being as short as it must.

        Args:
            batch: Images at a time.
            progress: Called with how many are done, and of how many; on a GPU about once a second.

        Returns:
            The vectors of those that it holds, (K, D) float32.
        """
        import torch

        on_gpu, waited_s = self.inputs.device.type == "cuda", time.monotonic()
        parts, done = [], 0
        while done < self.n:
            start = done % len(self.inputs)
            parts.append(self.forward(self.inputs[start : start + min(batch, self.n - done)]))
            done += len(parts[-1])
            if on_gpu:  # where calls return before anything is computed; to wait after each would slow the reference
                if time.monotonic() - waited_s < _WAITED_EVERY_S:
                    continue
                torch.cuda.synchronize(self.inputs.device)
                waited_s = time.monotonic()
            progress(done, self.n)
        result: np.ndarray = torch.cat(parts)[: len(self.inputs)].cpu().numpy()
        return result
