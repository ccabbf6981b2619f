"""The tools that people extract CLIP features with, run on the same images and weights and measured as whole trees.

A figure per image is a slope: each contender runs as a program of its own with few and with many images, and the
difference of the two runs is divided by the difference of the counts. So imports, loading and warm-up are left out
without a hook inside anybody's code. Runs of all contenders alternate, and the median over the repeats counts.

`python tests/benchmarks/rivals.py FOLDER` measures all of them and compares their features; the project's root must be
on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import images as material
import numpy as np
from contenders import RIVALS, Contender, environment
from process_tree import Usage, measure_tree


@dataclass(frozen=True)
class Speed:
    """What one more image costs.

    Attributes:
        cpu_ms: CPU milliseconds of the whole tree, the median over the repeats.
        wall_ms: Wall milliseconds, likewise.
        start_cpu_s: CPU seconds of a run without any image, by the same line.
        start_wall_s: Wall seconds, likewise.
        peak_rss_bytes: The largest memory that a run took.
        cpu_ms_all: The repeats.
        wall_ms_all: The repeats.
    """

    cpu_ms: float
    wall_ms: float
    start_cpu_s: float
    start_wall_s: float
    peak_rss_bytes: int
    cpu_ms_all: tuple[float, ...]
    wall_ms_all: tuple[float, ...]

    def whole(self, unit: str, images: int) -> float:
        """Milliseconds an image of a whole run, start and warm-up included, by the same line; `unit` is CPU or wall."""
        start_s = getattr(self, f"start_{unit.lower()}_s")
        return float(getattr(self, f"{unit.lower()}_ms") + 1000 * start_s / images)


@dataclass(frozen=True)
class Measured:
    """Speed and features of one contender.

    Attributes:
        speed: What one more image costs.
        names: File names of the larger run, sorted.
        features: (N, D), a row for each name.
    """

    speed: Speed
    names: list[str]
    features: np.ndarray


def run(contender: Contender, images: Path, checkpoint: Path, output: Path) -> tuple[Usage, list[str], np.ndarray]:
    """Runs a contender once.

    Args:
        contender: Which one.
        images: A folder with nothing but images.
        checkpoint: The weights.
        output: A folder for what it writes; emptied first.

    Returns:
        What it used, the sorted file names, and the features in their order, (N, D) float32.

    Raises:
        RuntimeError: It failed, or its features are not one for each image.
    """
    shutil.rmtree(output, ignore_errors=True)
    command = contender.command(images.absolute(), checkpoint.absolute(), output.absolute())
    usage = measure_tree(command, environment(contender))
    if usage.killed:
        raise RuntimeError(f"{contender.name} left {usage.killed} processes behind, so its CPU time is not its work's")
    found, features = contender.features(output)
    wanted = sorted(path.name for path in images.iterdir())
    names = [Path(path).name for path in found] or wanted
    if sorted(names) != wanted or len(features) != len(wanted):
        raise RuntimeError(f"{contender.name} gave {len(features)} features for {len(wanted)} images of {images}")
    return usage, wanted, features[np.argsort(names)].astype(np.float32)


def measure(
    contenders: Mapping[str, Contender],
    folder: Path,
    checkpoint: Path,
    counts: tuple[int, int] = (256, 768),
    repeats: int = 3,
) -> dict[str, Measured]:
    """Measures contenders by turns: in every repeat each runs with few and then with many images.

    Args:
        contenders: Which ones, by key.
        folder: At least `counts[1]` images; parts of it are linked beside it.
        checkpoint: The weights.
        counts: Few and many; multiples of all batch sizes (clip-retrieval's is 256), so that all batches are full.
        repeats: How often.

    Raises:
        RuntimeError: A contender failed, or many images took no longer than few.
    """
    few, many = (material.first_images(folder, count) for count in counts)
    runs: dict[str, list[tuple[Usage, Usage]]] = {key: [] for key in contenders}
    last: dict[str, tuple[list[str], np.ndarray]] = {}
    for key, contender in contenders.items():  # what is compiled and found out on first use is no image's cost
        run(contender, few, checkpoint, folder.with_name(f"output-{key}"))
    for _ in range(repeats):
        for key, contender in contenders.items():
            output = folder.with_name(f"output-{key}")
            less, _, _ = run(contender, few, checkpoint, output)
            more, names, features = run(contender, many, checkpoint, output)
            runs[key].append((less, more))
            last[key] = names, features
    return {key: Measured(speed(pairs, counts), *last[key]) for key, pairs in runs.items()}


def speed(pairs: Sequence[tuple[Usage, Usage]], counts: tuple[int, int]) -> Speed:
    """The slope through pairs of runs with few and many images.

    Raises:
        RuntimeError: Many images took no longer than few.
    """
    images = counts[1] - counts[0]
    cpu = [1000 * (more.cpu_s - less.cpu_s) / images for less, more in pairs]
    wall = [1000 * (more.wall_s - less.wall_s) / images for less, more in pairs]
    cpu_ms, wall_ms = statistics.median(cpu), statistics.median(wall)
    if cpu_ms <= 0 or wall_ms <= 0:
        raise RuntimeError(
            f"{counts[1]} images took no longer than {counts[0]} (one more costs {cpu_ms:.1f} ms of CPU, "
            f"{wall_ms:.1f} ms of wall time): measure more images, or on a quieter machine"
        )
    return Speed(
        cpu_ms=cpu_ms,
        wall_ms=wall_ms,
        start_cpu_s=statistics.median(less.cpu_s for less, _ in pairs) - cpu_ms * counts[0] / 1000,
        start_wall_s=statistics.median(less.wall_s for less, _ in pairs) - wall_ms * counts[0] / 1000,
        peak_rss_bytes=max(usage.peak_rss_bytes for pair in pairs for usage in pair),
        cpu_ms_all=tuple(cpu),
        wall_ms_all=tuple(wall),
    )


def plain_features(images: Path, checkpoint: Path) -> np.ndarray:
    """What open_clip itself gives, image by image in the order of the names: (N, D) float32."""
    import open_clip
    import torch
    from PIL import Image

    model, _, transform = open_clip.create_model_and_transforms(
        material.CLIP_ARCHITECTURE, pretrained=str(checkpoint.absolute())
    )
    model.eval()
    with torch.inference_mode():
        inputs = (transform(Image.open(path).convert("RGB")) for path in sorted(images.iterdir()))
        return torch.cat([model.encode_image(x[None]) for x in inputs]).numpy()


def agreement(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """The lowest cosine between two sets of features of the same images, as they are and about their mean.

    Features of untrained weights all point nearly the same way; without their mean, a wrong order shows.

    Args:
        ours: (N, D).
        theirs: (N, D), of any length.
    """
    import torch

    from dfd_core.backbones.runtimes.cosines import cosines

    X, Y = (torch.nn.functional.normalize(torch.from_numpy(x).double()) for x in (ours, theirs))
    return cosines(X, Y)


def main() -> None:
    """Prints a line of JSON for each rival."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for images, weights and outputs; made if need be")
    parser.add_argument("--few", type=int, default=256)
    parser.add_argument("--many", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(RIVALS), default=list(RIVALS))
    args = parser.parse_args()
    images, checkpoint = args.folder / "images", args.folder / "clip_vit_b16.safetensors"
    material.make_images(images, args.many)
    material.make_clip_checkpoint(checkpoint)
    chosen = {name: RIVALS[name] for name in args.only}
    measured = measure(chosen, images, checkpoint, (args.few, args.many), args.repeats)
    plain = plain_features(material.first_images(images, args.few), checkpoint)
    for name, result in measured.items():
        cosine, centred = agreement(plain, result.features[: args.few])
        print(json.dumps({"name": name, **asdict(result.speed), "cosine": cosine, "centred_cosine": centred}))


if __name__ == "__main__":
    main()
