"""`make bench`: everything that is claimed about speed, measured now, against a reference in the same run.

Prints a line for each comparison and adds the same to `benchmarks.jsonl`: name, reference, ours, ratio (above 1 where
ours is better), goal, cosine. Give it the machine alone. Parts can be named: `bench.py bare fan_out`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from dfd_core.throughput import HEAD, Measurement, make_images, tell

HERE = Path(__file__).parent
CLIP_RETRIEVAL = "clip_retrieval"
Options = argparse.Namespace


def bare(options: Options) -> Iterable[Measurement]:
    """From files to Parquet against the bare forward pass, for the networks and precisions with a goal."""
    import images as material

    from dfd_core.backbones import BackboneSpec
    from dfd_core.features.spec import ExtractionSpec
    from dfd_core.throughput import measure_backbone

    folder = options.folder
    files = make_images(folder / "images", options.bare_images)
    clip = material.make_clip_checkpoint(folder / "clip_vit_b16.safetensors")
    resnet = material.make_resnet_checkpoint(folder / "dino_resnet50.safetensors")
    for name, weights in ((material.CLIP_BACKBONE, clip), (material.RESNET_BACKBONE, resnet)):
        for precision, goal in (("float32", 2.0), ("bfloat16", 3.7)):
            spec = BackboneSpec(name=name, weights=str(weights), precision=precision)  # type: ignore[arg-type]
            yield from measure_backbone(spec, files, ExtractionSpec(), repeats=options.repeats, goal=goal)


def fan_out(options: Options) -> Iterable[Measurement]:
    """Four augmentations and three backbones at once."""
    import fan_out as module

    yield from module.measure(repeats=options.repeats)


def overlap(_: Options) -> Iterable[Measurement]:
    """A device's idling between shards."""
    import overlap as module

    yield from module.measure()


def tools(options: Options) -> Iterable[Measurement]:
    """The plain loop and Ray Data, with ours in one process and on Ray between them."""
    counts = (128, 256) if options.quick else (128, 384)
    yield from _against(options, ("dataloader", "ray_data"), counts, options.repeats)


def clip_retrieval(options: Options) -> Iterable[Measurement]:
    """clip-retrieval's inference, whose batches have 256 images and which warms up with 512; as whole programs, too."""
    yield from _against(options, (CLIP_RETRIEVAL,), (256, 768), options.repeats)


def readback(_: Options) -> Iterable[Measurement]:
    """Reading 100,000 x 768 against .npy."""
    import readback as module

    with tempfile.TemporaryDirectory() as folder:
        yield from module.measure(Path(folder))


def ledger(_: Options) -> Iterable[Measurement]:
    """Planning over thousands of files."""
    import ledger as module

    with tempfile.TemporaryDirectory() as folder:
        yield from module.measure(Path(folder))


def dispatching(_: Options) -> Iterable[Measurement]:
    """50,000 stub shards through the dispatcher."""
    import dispatching as module

    yield from module.measure()


def intervals(_: Options) -> Iterable[Measurement]:
    """All metrics of a cell with bootstrap intervals against a loop over scikit-learn."""
    import intervals as module

    yield from module.measure()


def neighbours(_: Options) -> Iterable[Measurement]:
    """A bank of 200,000 x 768 against FAISS and a loop."""
    import neighbours as module

    yield from module.measure()


def fitting(_: Options) -> Iterable[Measurement]:
    """Whole grids of classifiers against each cell by itself."""
    import fitting as module

    yield from module.measure()


def auditing(options: Options) -> Iterable[Measurement]:
    """The audit of 256-px files, and near duplicates among 100,000 hashes."""
    import auditing as module

    yield from module.measure(options.folder)


PARTS: Mapping[str, Callable[[Options], Iterable[Measurement]]] = {
    part.__name__: part
    for part in (
        *(bare, fan_out, overlap, readback, ledger, dispatching),
        *(neighbours, fitting, intervals, auditing, tools, clip_retrieval),
    )
}
GOALS = {"dataloader": 2.0, "ray_data": 2.0, CLIP_RETRIEVAL: 3.5}
"""In CPU and in wall time, with and without the start."""


def _against(options: Options, names: tuple[str, ...], counts: tuple[int, int], repeats: int) -> Iterable[Measurement]:
    """Whole trees of processes: milliseconds of CPU and of wall time that one more image costs."""
    import images as material
    import rivals
    from contenders import OURS, RIVALS

    images = options.folder / "images"
    material.make_images(images, counts[1])
    checkpoint = material.make_clip_checkpoint(options.folder / "clip_vit_b16.safetensors")
    chosen = {**OURS, **{name: RIVALS[name] for name in names}}
    found = rivals.measure(chosen, images, checkpoint, counts, repeats)
    for name in names:
        for mine in OURS:
            ours, theirs = found[mine], found[name]
            cosine, centred = rivals.agreement(ours.features, theirs.features)
            for unit in ("CPU", "wall"):
                if name == CLIP_RETRIEVAL:
                    a, b = theirs.speed.whole(unit, counts[1]), ours.speed.whole(unit, counts[1])
                    what = f"{unit} ms/image of the tree, start and warm-up included, {counts[1]} images"
                    title = f"{OURS[mine].name} / {RIVALS[name].name} ({what})"
                    yield Measurement(title, a, b, a / b, GOALS[name], cosine)
                field = f"{unit.lower()}_ms"
                a, b = getattr(theirs.speed, field), getattr(ours.speed, field)
                yield Measurement(
                    f"{OURS[mine].name} / {RIVALS[name].name} ({unit} ms/image of the tree)",
                    a,
                    b,
                    a / b,
                    GOALS[name],
                    cosine,
                    {
                        "centred_cosine": centred,
                        "reference_all": getattr(theirs.speed, f"{field}_all"),
                        "ours_all": getattr(ours.speed, f"{field}_all"),
                        "reference_peak_rss_bytes": theirs.speed.peak_rss_bytes,
                        "ours_peak_rss_bytes": ours.speed.peak_rss_bytes,
                    },
                )


def main() -> None:
    """Runs the parts, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="fewer images for the tools; figures are less certain")
    parser.add_argument("--bare-images", type=int, default=64)
    parser.add_argument("--folder", type=Path, help="for images, weights and outputs; kept if given")
    parser.add_argument("--log", type=Path, default=Path("benchmarks.jsonl"))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if options.here:
        tell(PARTS[options.parts[0]](options), options.log)
        return
    with tempfile.TemporaryDirectory(prefix="dfd-bench-") as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        print(HEAD)
        failed = []
        for part in options.parts or PARTS:
            started = time.monotonic()
            command = [sys.executable, __file__, part, "--here", "--folder", str(folder.absolute())]
            command += ["--log", str(options.log), "--repeats", str(options.repeats)]
            command += ["--bare-images", str(options.bare_images)]
            command += ["--quick"] if options.quick else []
            root = str(HERE.parent.parent)
            done = subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": root})
            print(f"  {part}: {time.monotonic() - started:.0f} s", flush=True)
            failed += [part] if done.returncode else []
    if failed:
        sys.exit(f"bench: {', '.join(failed)} failed")


if __name__ == "__main__":
    main()
