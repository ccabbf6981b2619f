"""The batch size that calibration finds, what memory does to it, and the images that it is found with."""

import os
from dataclasses import replace

import pytest
import timm
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dfd_core.backbones.runtimes import RUNTIMES, calibration
from dfd_core.backbones.runtimes import workload as workload_module
from dfd_core.backbones.runtimes.calibration import calibrated
from dfd_core.backbones.runtimes.machine import share_of_cpus
from dfd_core.backbones.runtimes.workload import Workload, find_batch_size, probe_images
from dfd_core.errors import ExtractionError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    module = timm.create_model("test_vit", num_classes=0).eval().requires_grad_(False)
    return Workload(module, "float32", 160, torch.device("cpu"))


def test_the_batch_size_stops_at_the_memorys_end(vit):
    def forward(batch):
        if len(batch) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.zeros(len(batch), 1)

    found = find_batch_size(forward, vit)
    assert found.size in (1, 2, 4)
    assert found.ended_by_memory


@pytest.mark.parametrize("fits", [8, 5, 2, 1])
def test_where_the_first_size_does_not_fit_smaller_ones_are_tried(vit, monkeypatch, fits):
    monkeypatch.setattr(workload_module, "CPU_SIZES", (16, 32))
    found = find_batch_size(_narrow(vit.module, fits), vit)
    assert found.size == 2 ** (fits.bit_length() - 1)
    assert found.images_per_s > 0
    assert found.ended_by_memory


def test_no_batch_is_larger_than_asked_for(vit):
    sizes = []

    def forward(batch):
        sizes.append(len(batch))
        return torch.zeros(len(batch), 1)

    for at_most in (1, 6):
        assert find_batch_size(forward, vit, at_most).size <= at_most
        assert max(sizes) <= at_most


def _narrow(module, fits):
    """The network with memory for so many images."""

    def forward(batch):
        if len(batch) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return module(batch)

    return forward


@pytest.mark.parametrize("alone", [False, True])
def test_a_passing_shortage_of_memory_is_not_remembered(vit, tmp_path, monkeypatch, caplog, alone):
    class Narrow(type(RUNTIMES["torch"])):
        fits = 4

        def prepare(self, module, precision, image_size, cached_at):
            return _narrow(module, self.fits)

    monkeypatch.setattr(calibration, "RUNTIMES", {"torch": Narrow()})
    monkeypatch.setattr(workload_module, "CPU_SIZES", (16, 32))
    monkeypatch.setattr(calibration, "memory_is_its_own", lambda _: alone)
    assert calibrated(vit, "auto", None, tmp_path)[1].batch_size == 4
    monkeypatch.setattr(Narrow, "fits", 64)
    again = calibrated(vit, "auto", None, tmp_path)[1].batch_size
    if alone:
        assert again == 4
    else:
        assert again >= 16
        assert "more than 4 images do not fit into the free memory of cpu now" in caplog.text


def test_a_network_that_does_not_fit_with_one_image_is_an_error_that_says_so(vit, tmp_path, monkeypatch):
    class Full(type(RUNTIMES["torch"])):
        def prepare(self, module, precision, image_size, cached_at):
            return _narrow(module, 0)

    monkeypatch.setattr(calibration, "RUNTIMES", {"torch": Full()})
    with pytest.raises(ExtractionError, match=r"does not fit into the memory of cpu, with 160 x 160 .* another device"):
        calibrated(vit, "auto", None, tmp_path)
    assert not list(tmp_path.glob("*.json"))


class LargestOnTheCpu(TorchDispatchMode):
    """Notes the bytes of the largest tensor that is made on the CPU."""

    size_bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.device.type == "cpu":
            self.size_bytes = max(self.size_bytes, made.numel() * made.element_size())
        return made


def test_large_batches_of_large_images_take_no_gigabytes_to_make(vit):
    with LargestOnTheCpu() as largest:
        made = probe_images(1024, Workload(vit.module, "float32", 518, torch.device("meta")))
    assert made.shape == (1024, 3, 518, 518)
    assert 0 < largest.size_bytes <= 64 * 2**20


def test_probe_images_are_the_same_whatever_comes_after_them_and_come_again(vit):
    few, many = (probe_images(n, vit) for n in (16, 40))
    torch.testing.assert_close(many[:16], few, rtol=0, atol=0)
    torch.testing.assert_close(many[32:], few[:8], rtol=0, atol=0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_speed_in_provenance_is_that_of_the_batch_size_found(vit, tmp_path, monkeypatch, precision):
    rates = {"float32": {4: 1.0, 16: 10.0}, "bfloat16": {4: 1.0, 16: 40.0}}
    asked = []

    def rate(forward, work, size):
        asked.append(size)
        return rates[forward.precision][size]

    class Timed(type(RUNTIMES["torch"])):
        def prepare(self, module, precision, image_size, cached_at):
            def forward(batch):
                return module(batch)

            forward.precision = precision
            return forward

    monkeypatch.setattr(calibration, "RUNTIMES", {"torch": Timed()})
    monkeypatch.setattr(workload_module, "CPU_SIZES", (16,))
    monkeypatch.setattr(workload_module, "_rate", rate)
    work = Workload(vit.module, precision, 160, CPU)
    found = calibrated(work, "auto", None, tmp_path)[1]
    assert (found.batch_size, found.speed) == (16, rates[precision][16] / 10)
    asked.clear()
    found = calibrated(work, "auto", 64, tmp_path)[1]
    assert (found.batch_size, found.speed) == (64, 1.0)
    assert set(asked) == {4}


def test_what_is_found_on_a_busy_machine_counts_for_an_hour(vit, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "dfd_core")
    shares = iter([0.9, 0.4, 0.9, 0.95])
    monkeypatch.setattr(calibration, "share_of_cpus", lambda: next(shares))
    first = calibrated(vit, "torch", 4, tmp_path)[1]
    assert "The machine was busy while the speed of a network was measured: " in caplog.text
    assert (
        "threads got 40 % of their processors. What was found (torch, batches of 4) is used for an hour" in caplog.text
    )
    assert calibrated(vit, "torch", 4, tmp_path)[1] == first
    (path,) = tmp_path.glob("calibration-*.json")
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 3601))
    monkeypatch.setattr(calibration, "_measure", lambda *_: (None, replace(first, batch_size=2), False))
    assert calibrated(vit, "torch", 4, tmp_path)[1].batch_size == 2
    assert calibrated(vit, "torch", 4, tmp_path)[1].batch_size == 2
    assert next(shares, None) is None
    assert len(caplog.messages) == 1


def test_the_share_of_the_processors_is_one_of_time():
    assert 0 < share_of_cpus() < 1.1
