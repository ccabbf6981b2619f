"""The memory of extraction, measured in processes of its own."""

import subprocess
import sys

import numpy as np
from PIL import Image

PEAK = """
import hashlib, resource, sys
from pathlib import Path
import pyarrow as pa
import torch
from dfd_core.augmentations import AUGMENTATIONS
from dfd_core.backbones import BackboneSpec, resolve
from dfd_core.features.extraction import extract_here
from dfd_core.features.planning import plan_extraction
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.storage import Store

torch.set_num_threads(1)
folder, store, n = Path(sys.argv[1]), Store(sys.argv[2]), int(sys.argv[3])
files = sorted(folder.iterdir())[:n]
rows = [{"sample_id": hashlib.sha256(p.read_bytes()).hexdigest(), "url": str(p)} for p in files]
backbones = [resolve(BackboneSpec(name=name)) for name in ("spectrum", "tiny_vit")]
sets = [FeatureSet(dataset="d", augmentation=AUGMENTATIONS["none"], backbone=one) for one in backbones]
spec = ExtractionSpec(shard_size=64, threads=2)
plan = plan_extraction(store, {"d": pa.Table.from_pylist(rows)}, sets, spec.shard_size)
reports = extract_here(store, plan, spec, lambda report: None)
assert sum(report.samples for report in reports) == n
assert not any(counts for report in reports for counts in report.failures.values())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (400, 96, 96, 3), dtype=np.uint8)
    for index in range(3000):
        pixels = noise[index % 400].copy()
        pixels[0, 0] = (*divmod(index, 256), 7)
        Image.fromarray(pixels).save(folder / f"{index:04d}.bmp")
    peaks = []
    for n in (300, 3000):
        command = [sys.executable, "-c", PEAK, str(folder), str(tmp_path / f"store{n}"), str(n)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert peaks[1] <= 1.15 * peaks[0], f"the peak grew from {peaks[0] / 1024:.0f} to {peaks[1] / 1024:.0f} MiB"
