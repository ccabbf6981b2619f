"""Four augmentations and three backbones in one pass against twelve passes: CPU time outside the networks.

The networks are replaced by ones that give zeros, so that all CPU time is reading, decoding, augmenting, resizing,
scaling and writing. The reference is the loop that a person writes for each of the twelve, with the library's own
transform; a second line compares with twelve passes of our own extraction.
"""

from __future__ import annotations

import hashlib
import io
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from dfd_core.augmentations import AUGMENTATIONS, augment
from dfd_core.backbones import BACKBONES, BackboneSpec, ResolvedBackbone, open_clip_models, timm_models
from dfd_core.backbones.specs import Busy, Extraction
from dfd_core.backbones.transforms import SplitTransform
from dfd_core.features.extraction import Extractor
from dfd_core.features.planning import plan_extraction
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.storage import Store
from dfd_core.throughput import Measurement, make_images

AUGMENTED = ("none", "jpeg_q75", "blur_sigma_1", "color_jitter")
NETWORKS = {
    "that resize alike": ("clip_vit_b16", "clip_vit_l14", "siglip2_vit_b16"),
    "of which one resizes otherwise": ("clip_vit_b16", "clip_vit_l14", "dino_vit_b16"),
}
GOAL = 1 / 0.3


class Weightless:
    """A backbone that does all that stands around a network, and gives zeros."""

    def __init__(self, name: str) -> None:
        card = BACKBONES[name]
        library: Any = timm_models if card.library == "timm" else open_clip_models
        spec = BackboneSpec(name=name)
        preprocessing = library.preprocessing(card, spec.parsed_options())
        self.own_transform = library.transform(preprocessing)
        self.split = SplitTransform(self.own_transform)
        extraction = Extraction(
            library=card.library,
            architecture=card.architecture,
            pooling=card.pooling,
            preprocessing={},
            options={},
            dimension=card.dimension,
            precision="float32",
            version=1,
        )
        self.resolved = ResolvedBackbone(
            spec=spec, extraction=extraction, weights_path=None, weights_source="none", weights_digest="0" * 64
        )
        self.dimension, self.batch_size, self.busy = card.dimension, 16, Busy()
        self.pixels_key = self.split.key

    def facts(self) -> dict[str, Any]:
        """Nothing runs."""
        return {}

    def transform(self, image: Image.Image) -> np.ndarray:
        """As a backbone does."""
        return self.split.pixels(image)

    def submit(self, inputs: Sequence[np.ndarray]) -> Callable[[], np.ndarray]:
        """Scales the inputs as a backbone does."""
        if inputs:
            self.split.scaling.scaled_here(inputs)
        return lambda: np.zeros((len(inputs), self.dimension), np.float32)

    def agreement(self, inputs: Sequence[np.ndarray]) -> None:
        """There is nothing to compare."""


def measure(images: int = 256, repeats: int = 3) -> list[Measurement]:
    """Both comparisons for both sets of backbones, in CPU milliseconds an image."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="dfd-fan-out-") as name:
        folder = Path(name)
        files = make_images(folder / "images", images)
        ids = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
        lines = []
        for kind, networks in NETWORKS.items():
            backbones = [Weightless(network) for network in networks]
            sets = [_feature_set(one, name) for name in AUGMENTED for one in backbones]
            plain, separate, ours = [], [], []
            for number in range(repeats):
                stores = folder / kind.replace(" ", "-") / str(number)
                plain.append(_cpu_ms(images, _twelve_plain_passes, files, ids, backbones, folder))
                separate.append(sum(_cpu_ms(images, _extract, stores / "a", [s], files, ids, backbones) for s in sets))
                ours.append(_cpu_ms(images, _extract, stores / "b", sets, files, ids, backbones))
            title = f"4 augmentations x 3 backbones {kind} / {{}} (CPU ms/image outside the networks)"
            first, second, mine = (statistics.median(runs) for runs in (plain, separate, ours))
            lines.append(Measurement(title.format("12 plain passes"), first, mine, first / mine, GOAL))
            lines.append(Measurement(title.format("12 passes of ours"), second, mine, second / mine, GOAL))
    return lines


def _feature_set(backbone: Weightless, augmentation: str) -> FeatureSet:
    return FeatureSet(dataset="d", augmentation=AUGMENTATIONS[augmentation], backbone=backbone.resolved)


def _extract(
    folder: Path,
    sets: Sequence[FeatureSet],
    files: Sequence[Path],
    ids: Sequence[str],
    backbones: Sequence[Weightless],
) -> None:
    table = pa.table({"sample_id": list(ids), "url": [str(path) for path in files]})
    extractor = Extractor(Store(folder), [], ExtractionSpec(threads=1))
    extractor.backbones = {one.resolved.key(): one for one in backbones}  # type: ignore[misc]
    for shard in plan_extraction(extractor.store, {"d": table}, sets, 256).shards:
        report = extractor.extract(shard)
        assert not any(report.failures.values()), report.failures


def _twelve_plain_passes(files: Sequence[Path], ids: Sequence[str], backbones: Sequence[Weightless], out: Path) -> None:
    for name in AUGMENTED:
        for backbone in backbones:
            vectors = []
            for start in range(0, len(files), 16):
                batch = []
                for path, sample_id in zip(files[start : start + 16], ids[start : start + 16], strict=True):
                    image = Image.open(io.BytesIO(path.read_bytes())).convert("RGB")
                    batch.append(backbone.own_transform(augment(AUGMENTATIONS[name], image, sample_id)))
                torch.stack(batch)
                vectors.append(np.zeros((len(batch), backbone.dimension), np.float32))
            np.save(out / "plain.npy", np.concatenate(vectors))


def _cpu_ms(images: int, function: Callable[..., Any], *arguments: Any) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    function(*arguments)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / images


if __name__ == "__main__":
    started = time.monotonic()
    for measurement in measure():
        print(measurement)
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
