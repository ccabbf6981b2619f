"""How fast extraction is on this machine with a backbone of one's own, against the bare network.

The reference is a plain loop of eager torch in float32 over tensors that are ready in memory, with the same threads of
torch: no reading, no decoding, no resize, no writing. Ours goes from files to Parquet. Both are run by turns and the
median of the repeats counts. Needs neither Prefect nor Ray, so a GPU machine without them can run it::

    python -m dfd_core.throughput clip_vit_b16 --device cuda --images 20000
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dfd_core.augmentations import AUGMENTATIONS
from dfd_core.backbones import BackboneSpec, load, resolve
from dfd_core.errors import DfdError, ImageError, UsageError
from dfd_core.features.extraction import Extractor, ShardReport
from dfd_core.features.files import read_features
from dfd_core.features.planning import plan_extraction
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.stages import Stages
from dfd_core.storage import Store

REFERENCE_BATCH = 32
REFERENCE_IMAGES = 256
"""Ready tensors that the reference holds; with more images it goes over them again."""
IMAGE_SIDE = 256


@dataclass(frozen=True)
class Measurement:
    """One line of a benchmark.

    Attributes:
        name: What was compared, with the unit.
        reference: The reference's figure.
        ours: Ours.
        ratio: How many times better ours is.
        goal: The ratio that is wanted; `None` where none was set.
        cosine: The lowest cosine between the two vectors of an image; `None` where there are no vectors.
        details: Whatever else a reader wants to know.
    """

    name: str
    reference: float
    ours: float
    ratio: float
    goal: float | None = None
    cosine: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> str:
        """One line."""
        facts = {**vars(self), **self.details}
        del facts["details"]
        return json.dumps({name: _rounded(value) for name, value in facts.items()})

    def __str__(self) -> str:
        goal = "" if self.goal is None else f"  goal {self.goal:g} {'met' if self.ratio >= self.goal else 'MISSED'}"
        cosine = "" if self.cosine is None else f"  cosine {self.cosine:.6f}"
        return f"{self.name:<58} {self.reference:>10.4g} {self.ours:>10.4g}  ratio {self.ratio:>6.3g}{goal}{cosine}"


@dataclass
class _Runs:
    """Wall and CPU seconds of one contender's repeats."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def time(self, function: Callable[[], Any]) -> Any:
        cpu, wall = _cpu_s(), time.perf_counter()
        result = function()
        self.wall_s.append(time.perf_counter() - wall)
        self.cpu_s.append(_cpu_s() - cpu)
        return result

    def per_image(self, images: int) -> tuple[float, float]:
        """Median wall and CPU milliseconds of one image."""
        return 1000 * statistics.median(self.wall_s) / images, 1000 * statistics.median(self.cpu_s) / images


def measure_backbone(
    spec: BackboneSpec,
    files: Sequence[Path],
    extraction: ExtractionSpec,
    device: str = "cpu",
    repeats: int = 3,
    goal: float | None = None,
) -> list[Measurement]:
    """Compares extraction with the bare forward pass in float32, at the usual batch of 32 and at torch's own best.

    Args:
        spec: The backbone.
        files: Images.
        extraction: How ours extracts.
        device: In torch's words.
        repeats: How often each is run.
        goal: The ratio that is wanted.

    Raises:
        UsageError: There are no images, or the backbone is no network.
    """
    if not files or spec.card.library == "spectrum":
        raise UsageError("Throughput needs images and a backbone that is a network; the spectrum has no forward pass.")
    table = _table(files)
    bare = _Bare(spec, device, table)
    runs = {"usual": _Runs(), "best": _Runs(), "ours": _Runs()}
    feature_set = FeatureSet(dataset="t", augmentation=AUGMENTATIONS["none"], backbone=resolve(spec))
    with tempfile.TemporaryDirectory(prefix="dfd-throughput-") as folder:
        extractor = Extractor(Store(Path(folder) / "warm"), [feature_set], extraction, device)
        _extract(extractor, feature_set, table.slice(0, 64))
        for number in range(repeats):
            extractor.store = Store(Path(folder) / str(number))
            expected = runs["usual"].time(lambda: bare.run(REFERENCE_BATCH))
            runs["best"].time(lambda: bare.run(bare.best_batch))
            reports = runs["ours"].time(lambda: _extract(extractor, feature_set, table))
        found = read_features(extractor.store, feature_set.folder)
    rows, missing = found.rows(table["sample_id"].to_pylist()[:REFERENCE_IMAGES])
    assert not missing.any(), "every image was good enough for the reference"
    cosine, centred = cosines(found.X[rows], expected)
    facts = extractor.backbones[feature_set.backbone.key()].facts()
    details = {**_stages(reports), **facts, "centred_cosine": centred, "images": len(table)}
    details["torch_best_batch"] = bare.best_batch
    lines = []
    for key, batch in (("usual", REFERENCE_BATCH), ("best", bare.best_batch)):
        for unit, mine, theirs in zip(
            ("wall", "CPU"), runs["ours"].per_image(len(table)), runs[key].per_image(len(table)), strict=True
        ):
            name = f"{spec.name} {spec.precision} / bare forward, batch {batch} ({unit} ms/image)"
            lines.append(Measurement(name, theirs, mine, theirs / mine, goal, cosine, details))
    return lines if bare.best_batch != REFERENCE_BATCH else lines[:2]


class _Bare:
    """The reference: eager float32 on tensors that are ready."""

    def __init__(self, spec: BackboneSpec, device: str, table: pa.Table) -> None:
        import torch

        from dfd_core.backbones.runtimes import RUNTIMES
        from dfd_core.backbones.runtimes.calibration import find_batch_size
        from dfd_core.features.decoding import decode

        exact = spec.model_copy(update={"precision": "float32", "resize": "pillow"})
        backbone: Any = load(resolve(exact), device, "torch", REFERENCE_BATCH)
        try:
            urls = table["url"].to_pylist()[:REFERENCE_IMAGES]
            pixels = [backbone.transform(decode(Path(url).read_bytes())) for url in urls]
        except ImageError as error:
            raise UsageError(f"An image can't be used ({error}): give a folder of sound images.") from error
        self.n = len(table)
        self.inputs = backbone.split.scaling.scaled(torch.from_numpy(np.stack(pixels))).to(backbone.device)
        self.forward = RUNTIMES["torch"].prepare(backbone._module, "float32", backbone.split.side, None)
        self.best_batch, _ = find_batch_size(self.forward, backbone._work)

    def run(self, batch: int) -> np.ndarray:
        """Runs over as many images as there are; returns the vectors of those it holds, (min(N, 256), D) float32."""
        import torch

        parts, left = [], self.n
        while left > 0:
            for start in range(0, min(left, len(self.inputs)), batch):
                parts.append(self.forward(self.inputs[start : start + batch]))
            left -= len(self.inputs)
        result: np.ndarray = torch.cat(parts)[: len(self.inputs)].cpu().numpy()
        return result


def cosines(X: np.ndarray, Y: np.ndarray) -> tuple[float, float]:
    """The lowest cosine between rows of two (N, D) arrays, as they are and after the mean of `Y` is taken off both."""
    mean = Y.mean(axis=0, dtype=np.float64)
    return _lowest_cosine(X.astype(np.float64), Y), _lowest_cosine(X - mean, Y - mean)


def make_images(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Writes JPEG files of 256 px with photographic content and camera noise; those that are there are kept."""
    from dfd_core.datasets.simulation.camera import encode, expose
    from dfd_core.datasets.simulation.contents import ContentKind, content

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:06d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            rng = np.random.default_rng([seed, number])
            kinds: tuple[ContentKind, ContentKind] = ("photographs", "dead_leaves")
            path.write_bytes(encode(expose(content(kinds[number % 2], IMAGE_SIDE, rng), rng), 90))
    return paths


def _extract(extractor: Extractor, feature_set: FeatureSet, table: pa.Table) -> list[ShardReport]:
    plan = plan_extraction(extractor.store, {feature_set.dataset: table}, [feature_set], extractor.spec.shard_size)
    return list(extractor.extract_all(plan.shards))


def _stages(reports: Iterable[ShardReport]) -> dict[str, Any]:
    stages = sum((report.stages for report in reports), Stages())
    return {
        "bottleneck": stages.bottleneck,
        "device_idle": stages.idle_fraction,
        "cores_per_device": stages.cores_per_device,
        "prepare_cpu_ms": 1000 * stages.prepare_cpu_s / stages.images,
        "forward_ms": 1000 * stages.forward_s / stages.images,
        "transfer_ms": 1000 * stages.transfer_s / stages.images,
        "write_ms": 1000 * stages.write_s / stages.images,
    }


def _table(files: Sequence[Path]) -> pa.Table:
    by_id = {hashlib.sha256(path.read_bytes()).hexdigest(): str(path) for path in files}  # equal files count once
    return pa.table({"sample_id": list(by_id), "url": list(by_id.values())})


def _lowest_cosine(X: np.ndarray, Y: np.ndarray) -> float:
    return float(((X * Y).sum(axis=1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1)).min())


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _rounded(value: Any) -> Any:
    return float(f"{value:.7g}") if isinstance(value, float) else value


def tell(measurements: Iterable[Measurement], log: Path | None) -> None:
    """Prints measurements and appends them to a file of JSON lines."""
    for one in measurements:
        print(one, flush=True)
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(one.as_json() + "\n")


def measure_and_tell(
    specs: Sequence[BackboneSpec], images: tuple[Path | None, int], extraction: ExtractionSpec, device: str, log: Path
) -> None:
    """Measures backbones one after the other on a folder's images, or on ones made for the purpose.

    Args:
        specs: The backbones.
        images: A folder, and how many of its images; without a folder, 256-px JPEG files are made.
        extraction: How ours extracts.
        device: In torch's words.
        log: Where JSON lines are added.
    """
    from dfd_core.manifests.listing import IMAGE_SUFFIXES

    folder, count = images
    with tempfile.TemporaryDirectory(prefix="dfd-images-") as made:
        if folder is None:
            files = make_images(Path(made), count)
        else:
            files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)[:count]
        print(f"{'':<58} {'reference':>10} {'ours':>10}")
        for spec in specs:
            lines = measure_backbone(spec, files, extraction, device)
            tell(lines, log)
            facts = lines[0].details
            print(
                f"  {facts['runtime']} {facts['version']}, batch {facts['batch_size']} on {facts['device']}; "
                f"bottleneck: {facts['bottleneck']}; device idle {100 * facts['device_idle']:.1f} %; an image takes "
                f"{facts['prepare_cpu_ms']:.2f} ms of a core to prepare, {facts['transfer_ms']:.2f} ms of transfer, "
                f"{facts['forward_ms']:.2f} ms of the network: {facts['cores_per_device']:.2f} cores keep one busy"
            )


def main() -> None:
    """Entry point of `python -m dfd_core.throughput`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", nargs="+", help="names, as in `dfd backbones list`")
    parser.add_argument("--weights", help="a weights file, for one backbone")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="that read and decode; as many as there are CPUs by default")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--log", type=Path, default=Path("benchmarks.jsonl"))
    given = parser.parse_args()
    try:
        specs = [BackboneSpec(name=name, weights=given.weights, precision=given.precision) for name in given.backbones]
        extraction = ExtractionSpec(threads=given.threads, shard_size=max(64, given.images // 8))
        measure_and_tell(specs, (given.folder, given.images), extraction, given.device, given.log)
    except DfdError as error:
        print(f"throughput: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
