"""What only a GPU can show: `pytest tests/dfd_core/backbones/test_on_a_gpu.py -s` on a machine with one.

Vectors against the CPU's, exact float32 whatever the process allows, shared copies, batches that do not fit, and a
whole extraction. How long the GPU idled is printed, by the clock and by events, and not judged.
"""

import hashlib
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from dfd_core.augmentations import AUGMENTATIONS
from dfd_core.backbones import BackboneSpec, gpu, load, resolve
from dfd_core.backbones.runtimes.cosines import lowest_cosine
from dfd_core.features.extraction import extract_here
from dfd_core.features.files import read_features
from dfd_core.features.planning import plan_extraction
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.stages import Stages
from dfd_core.storage import Store

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
NAMES = ["tiny_vit", "tiny_resnet", "tiny_clip"]


def _cosine(X, Y):
    return lowest_cosine(torch.from_numpy(X), torch.from_numpy(Y))


@pytest.fixture
def allowed():
    """A process that lets torch round the factors of products to TF32."""
    torch.set_float32_matmul_precision("high")
    assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("allowed")
def test_vectors_are_the_cpus(name, images):
    resolved = resolve(BackboneSpec(name=name))
    here, there = (load(resolved, device, "torch", 4) for device in ("cpu", "cuda"))
    pixels = [here.transform(image) for image in images] * 5
    expected, found = here.embed(pixels), there.embed(pixels)
    assert _cosine(found, expected) > 0.99999
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_array_equal(there.embed(pixels), found)
    assert there.facts()["float32_in"] == {"conv": "ieee", "matmul": "ieee"}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_reduced_precision_is_close(precision, images):
    exact, reduced = (load(resolve(BackboneSpec(name="tiny_vit", precision=p)), "cuda") for p in ("float32", precision))
    pixels = [exact.transform(image) for image in images]
    assert 0.99 < _cosine(reduced.embed(pixels), exact.embed(pixels)) < 1
    assert reduced.agreement(pixels).cosine > 0.99


def test_networks_that_want_the_same_pixels_share_one_copy(images, monkeypatch):
    made, make = [], gpu.Copied.__init__

    def counted(self, inputs, device, stream):
        made.append(len(inputs))
        make(self, inputs, device, stream)

    monkeypatch.setattr(gpu.Copied, "__init__", counted)
    networks = [
        load(resolve(BackboneSpec(name=name)), "cuda", "torch", size)
        for name, size in zip(NAMES[:2], (2, 5), strict=True)
    ]
    pixels = [networks[0].transform(image) for image in images] * 4
    for started in [one.submit(pixels) for one in networks]:
        assert np.isfinite(started()).all()
    assert made == [12]
    for one in networks:
        np.testing.assert_array_equal(one.embed(pixels), one.embed([array.copy() for array in pixels]))
    assert all(one.busy.forward_s > 0 for one in networks)
    assert networks[0].busy.transfer_s > 0


def test_what_was_started_early_is_right_however_much_comes_after(images):
    network = load(resolve(BackboneSpec(name="tiny_resnet")), "cuda", "torch", 2)
    inputs = [[np.roll(network.transform(image), turn, axis=0) for image in images] for turn in range(40)]
    started = [network.submit(one) for one in inputs]
    found = [collect() for collect in started]
    for X, one in zip(found, inputs, strict=True):
        np.testing.assert_array_equal(X, network.embed(one))


def test_a_batch_that_does_not_fit_is_halved_and_no_vector_is_lost(images, caplog):
    network = load(resolve(BackboneSpec(name="tiny_vit")), "cuda", "torch", 512)
    pixels = [network.transform(image) for image in images] * 171
    expected = network.embed(pixels)
    gpu.transfers_to(network.device).release()
    torch.cuda.reset_peak_memory_stats()
    network.embed(pixels[:32])
    needed, total = torch.cuda.max_memory_reserved(), torch.cuda.mem_get_info()[1]
    try:
        torch.cuda.set_per_process_memory_fraction(2 * needed / total)
        found = network.embed(pixels)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert _cosine(found, expected) > 0.99999
    assert network.batch_size < 512
    assert "did not fit into the memory of cuda" in caplog.text


def test_a_whole_extraction_and_how_long_the_gpu_idled(tmp_path):
    from dfd_core.throughput import make_images

    files = make_images(tmp_path / "images", 256)
    ids = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in files]
    table = pa.table({"sample_id": ids, "url": [str(path) for path in files]})
    sets = [
        FeatureSet(dataset="d", augmentation=AUGMENTATIONS[augmentation], backbone=resolve(BackboneSpec(name=name)))
        for augmentation in ("none", "jpeg_q75")
        for name in NAMES
    ]
    store, reports = Store(tmp_path / "store"), []
    plan = plan_extraction(store, {"d": table}, sets, 64)
    started = time.perf_counter()
    extract_here(store, plan, ExtractionSpec(), reports.append, "cuda")
    wall_s = time.perf_counter() - started
    stages = sum((report.stages for report in reports), Stages())
    print(
        f"\n{stages.images} images, loading included, in {wall_s:.2f} s; the GPU computed {stages.forward_s:.2f} s of "
        f"them: idle {100 * stages.idle_fraction:.1f} % of the networks' thread by events, "
        f"{100 * (1 - stages.forward_s / wall_s):.1f} % by the clock; {stages.bottleneck} held up the rest"
    )
    for one in sets:
        found = read_features(store, one.folder)
        assert not found.rows(ids)[1].any()
        assert np.isfinite(found.X).all()
