"""How fast extraction is on this machine with a backbone of one's own, against the bare network.

The reference is a plain loop of eager torch in float32 over tensors that are ready in memory, with the same threads of
torch: no reading, no decoding, no resize, no writing. Ours goes from files to Parquet. Both are run by turns over the
same number of images, and the median of the repeats counts. Needs neither Prefect nor Ray, so a GPU machine without
them can run it::

    python -m dfd_core.throughput clip_vit_b16 --device cuda --images 20000
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import logging
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
from dfd_core.backbones import BackboneSpec, resolve
from dfd_core.bare_network import BareNetwork, cosines
from dfd_core.errors import DfdError, UsageError
from dfd_core.features.extraction import Extractor, ShardReport
from dfd_core.features.files import read_failures, read_features
from dfd_core.features.planning import plan_extraction
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.stages import Stages
from dfd_core.manifests.listing import IMAGE_SUFFIXES
from dfd_core.storage import Store
from dfd_core.wording import some

logger = logging.getLogger(__name__)
IMAGE_SIDE = 256
_SAID_EVERY_S = 5.0


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

    All images are extracted once before anything is measured, so that none of them is counted that can't be used.

    Args:
        spec: The backbone.
        files: Images.
        extraction: How ours extracts.
        device: In torch's words.
        repeats: How often each is run.
        goal: The ratio that is wanted.

    Raises:
        UsageError: There are no images, one of them can't be used, or the backbone is no network.
    """
    if spec.card.library == "spectrum":
        raise UsageError("Throughput needs a backbone that is a network; the spectrum has no forward pass.")
    if not files:
        raise UsageError("Throughput needs images, and there are none: give a folder of sound images.")
    table = _table(files)
    runs = {"usual": _Runs(), "best": _Runs(), "ours": _Runs()}
    feature_set = FeatureSet(dataset="t", augmentation=AUGMENTATIONS["none"], backbone=resolve(spec))
    with tempfile.TemporaryDirectory(prefix="dfd-throughput-") as folder:
        extractor = Extractor(Store(Path(folder) / "warm"), [feature_set], extraction, device)
        _extract(extractor, feature_set, table, _Said(f"{spec.name}: every image once, to see that it can be used"))
        bare = BareNetwork(spec, device, table, extraction.decode)
        logger.info("%s: the bare network holds %s; its best batch is %d", spec.name, bare.held, bare.best_batch)
        for number in range(repeats):
            extractor.store = Store(Path(folder) / str(number))
            where = f"{spec.name}: round {number + 1} of {repeats}"
            said = _Said(f"{where}, bare, batch {bare.usual_batch}")
            expected = runs["usual"].time(functools.partial(bare.run, bare.usual_batch, said))
            said = _Said(f"{where}, bare, batch {bare.best_batch}")
            runs["best"].time(functools.partial(bare.run, bare.best_batch, said))
            said = _Said(f"{where}, ours")
            reports = runs["ours"].time(functools.partial(_extract, extractor, feature_set, table, said))
        found = read_features(extractor.store, feature_set.folder)
    rows, missing = found.rows(table["sample_id"].to_pylist()[: len(expected)])
    assert not missing.any(), "every image was extracted"
    cosine, centred = cosines(found.X[rows], expected)
    facts = extractor.backbones[feature_set.backbone.key()].facts()
    details = {**_stages(reports), **facts, "centred_cosine": centred, "images": len(table)}
    details |= {"torch_best_batch": bare.best_batch, "reference_holds": bare.held}
    lines = []
    for key, batch in (("usual", bare.usual_batch), ("best", bare.best_batch)):
        for unit, mine, theirs in zip(
            ("wall", "CPU"), runs["ours"].per_image(len(table)), runs[key].per_image(len(table)), strict=True
        ):
            name = f"{spec.name} {spec.precision} / bare forward, batch {batch} ({unit} ms/image)"
            lines.append(Measurement(name, theirs, mine, theirs / mine, goal, cosine, details))
    return lines if bare.best_batch != bare.usual_batch else lines[:2]


class _Said:
    """Says how far one run is, at its start and every few seconds."""

    def __init__(self, what: str) -> None:
        self.what, self.said_s = what, time.monotonic()
        logger.info("%s", what)

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self.said_s >= _SAID_EVERY_S:
            self.said_s = time.monotonic()
            logger.info("%s: %s of %s images", self.what, f"{done:,}", f"{total:,}")


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


def _extract(extractor: Extractor, feature_set: FeatureSet, table: pa.Table, said: _Said) -> list[ShardReport]:
    plan = plan_extraction(extractor.store, {feature_set.dataset: table}, [feature_set], extractor.spec.shard_size)
    reports, done = [], 0
    for report in extractor.extract_all(plan.shards):
        reports.append(report)
        done += report.samples
        said(done, len(table))
    failures = read_failures(extractor.store, feature_set.folder)
    if failures:
        urls = dict(zip(table["sample_id"].to_pylist(), table["url"].to_pylist(), strict=True))
        named = [f"{urls[sample_id]} ({status}: {error})" for sample_id, status, error in failures]
        raise UsageError(
            f"{len(named)} of {len(table)} images can't be used: {some(named)}. Give a folder of sound images."
        )
    return reports


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

    Raises:
        UsageError: There is no such folder, or an image or a backbone can't be used.
    """
    folder, count = images
    with tempfile.TemporaryDirectory(prefix="dfd-images-") as made:
        files = make_images(Path(made), count) if folder is None else _images_in(folder)[:count]
        for number, spec in enumerate(specs):
            lines = measure_backbone(spec, files, extraction, device)
            if number == 0:
                print(f"{'':<58} {'reference':>10} {'ours':>10}")
            tell(lines, log)
            facts = lines[0].details
            print(
                f"  {facts['runtime']} {facts['version']}, batch {facts['batch_size']} on {facts['device']}; "
                f"bottleneck: {facts['bottleneck']}; device idle {100 * facts['device_idle']:.1f} %; an image takes "
                f"{facts['prepare_cpu_ms']:.2f} ms of a core to prepare, {facts['transfer_ms']:.2f} ms of transfer, "
                f"{facts['forward_ms']:.2f} ms of the network: {facts['cores_per_device']:.2f} cores keep one busy; "
                f"the reference holds {facts['reference_holds']}"
            )


def _images_in(folder: Path) -> list[Path]:
    """The images below a folder, by their extensions, sorted."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}. Check `--folder`; without it, images are made.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not files:
        raise UsageError(f"There is no image in the folder {folder}. Check `--folder`; without it, images are made.")
    return files


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
    logging.basicConfig(format="%(asctime)s | %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("dfd_core").setLevel(logging.INFO)
    try:
        specs = [BackboneSpec(name=name, weights=given.weights, precision=given.precision) for name in given.backbones]
        extraction = ExtractionSpec(threads=given.threads, shard_size=max(64, given.images // 8))
        measure_and_tell(specs, (given.folder, given.images), extraction, given.device, given.log)
    except DfdError as error:
        print(f"throughput: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
