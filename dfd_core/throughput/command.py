"""Backbones measured one after the other and reported on standard output: what `python -m dfd_core.throughput` does."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dfd_core import throughput as package
from dfd_core.backbones import BackboneSpec
from dfd_core.errors import DfdError
from dfd_core.features.spec import ExtractionSpec
from dfd_core.throughput.comparison import measure_backbone
from dfd_core.throughput.images import images_in, make_images
from dfd_core.throughput.measurement import HEAD, tell

IMAGES, LOG = 128, Path("benchmarks.jsonl")
"""Unless somebody says otherwise, here and in `dfd throughput`."""
SHARDS, LEAST_SHARD = 8, 64


def measure_and_tell(
    specs: Sequence[BackboneSpec],
    images: tuple[Path | None, int | None],
    extraction: ExtractionSpec,
    device: str | None = None,
    log: Path | None = None,
) -> Path:
    """Measures backbones one after the other on a folder's images, or on ones made for the purpose.

    Args:
        specs: The backbones.
        images: A folder, and how many of its images; without a folder, 256-px JPEG files are made. Without a number
            there are `IMAGES`.
        extraction: How ours extracts; by default in eight shards or fewer, so that they overlap as in a large dataset.
        device: In torch's words; a GPU by default, where there is one, as in a run.
        log: Where JSON lines are added; `LOG` by default.

    Returns:
        Where they were added.

    Raises:
        UsageError: There is no such folder, or an image or a backbone can't be used.
    """
    folder, count, log = images[0], images[1] or IMAGES, log or LOG
    if extraction.shard_size is None:
        extraction = extraction.model_copy(update={"shard_size": max(LEAST_SHARD, count // SHARDS)})
    with tempfile.TemporaryDirectory(prefix="dfd-images-") as made:
        files = make_images(Path(made), count) if folder is None else images_in(folder)[:count]
        for number, spec in enumerate(specs):
            lines = measure_backbone(spec, files, extraction, device or usual_device())
            if number == 0:
                print(HEAD)
            tell(lines, log)
            print(_stages_of(lines[0].details))
    return log


def _stages_of(facts: dict[str, Any]) -> str:
    """Where the time of the median round went, for readers."""
    counted = " (by events: pauses between the kernels of a batch count as busy)" if facts["device"] != "cpu" else ""
    return (
        f"  {facts['runtime']} {facts['version']}, batch {facts['batch_size']} on {facts['device']}; "
        f"bottleneck: {facts['bottleneck']}; device idle {100 * facts['device_idle']:.1f} %{counted}; an image takes "
        f"{facts['prepare_cpu_ms']:.2f} ms of a core to prepare, {facts['transfer_ms']:.2f} ms of transfer, "
        f"{facts['forward_ms']:.2f} ms of the network: {facts['cores_per_device']:.2f} cores keep one busy; "
        f"the reference holds {facts['reference_holds']}"
    )


def usual_device() -> str:
    """Where a run's networks would be on this machine."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def main() -> None:
    """Entry point of `python -m dfd_core.throughput`."""
    parser = argparse.ArgumentParser(description=package.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="+", help="names, as in `dfd backbones list`")
    parser.add_argument("--weights", help="a weights file, for one backbone")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--device", help="in torch's words; by default a GPU where there is one, else the CPU")
    parser.add_argument("--threads", type=int, help="that read and decode; as many as there are CPUs by default")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--log", type=Path, default=LOG)
    given = parser.parse_args()
    logging.basicConfig(format="%(asctime)s | %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("dfd_core").setLevel(logging.INFO)
    try:
        specs = [BackboneSpec(name=name, weights=given.weights, precision=given.precision) for name in given.backbones]
        extraction = ExtractionSpec(threads=given.threads)
        measure_and_tell(specs, (given.folder, given.images), extraction, given.device, given.log)
    except DfdError as error:
        print(f"throughput: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
