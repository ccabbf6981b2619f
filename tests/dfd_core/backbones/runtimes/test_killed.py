"""A process that is killed while it converts, compiles or measures leaves a cache that the next one can use."""

import os
import subprocess
import sys
import time

import pytest
import timm
import torch

from dfd_core.backbones.runtimes import calibration
from dfd_core.backbones.runtimes.calibration import calibrated
from dfd_core.backbones.runtimes.workload import Workload, probe_images

pytest.importorskip("openvino")

PROGRAM = """
import sys
from pathlib import Path
import timm, torch
from dfd_core.backbones.runtimes.calibration import Workload, calibrated
torch.manual_seed(0)
module = timm.create_model("test_vit", num_classes=0).eval().requires_grad_(False)
calibrated(Workload(module, "float32", 160, torch.device("cpu")), "openvino", None, Path(sys.argv[1]))
"""
MOMENTS = {
    "while the network is saved": ".partial-*",
    "when the network is saved": "openvino-*/model.xml",
    "while the compiled form is written": "openvino-*/compiled/*",
}


@pytest.fixture
def work():
    torch.manual_seed(0)
    module = timm.create_model("test_vit", num_classes=0).eval().requires_grad_(False)
    return Workload(module, "float32", 160, torch.device("cpu"))


def usable(work, folder):
    """Whether the cache gives torch's vectors, and keeps what is found."""
    batch = probe_images(3, work)
    for _ in range(2):
        forward, found = calibrated(work, "openvino", None, folder)
        torch.testing.assert_close(forward(batch), work.module(batch), rtol=1e-3, atol=1e-3)
    assert found == calibration._read(next(folder.glob("calibration-*.json")))
    return True


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_a_cache_that_is_used(moment, work, tmp_path):
    folder = tmp_path / "network"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while not list(folder.glob(MOMENTS[moment])):
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.kill()
    process.wait()
    assert not list(folder.glob("calibration-*.json"))
    assert usable(work, folder)
    assert not list(folder.glob(".partial-*"))


@pytest.mark.parametrize("left", [0, 1000, 0.5, 0.999])
def test_half_a_compiled_form_is_compiled_anew(left, work, tmp_path):
    """What a kill leaves where a file system had not yet written all."""
    calibrated(work, "openvino", None, tmp_path)
    (compiled,) = tmp_path.glob("openvino-*/compiled/*")
    size = compiled.stat().st_size
    os.truncate(compiled, int(left * size) if 0 < left < 1 else left)
    assert usable(work, tmp_path)
