"""A shortage of memory, whoever reports it, and what becomes of the batch size."""

import numpy as np
import pytest
import torch

from dfd_core.backbones import BackboneSpec, load, resolve
from dfd_core.backbones.runtimes.memory import PATIENCE, Shortages, lacks_memory

CPU = torch.device("cpu")
SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    MemoryError(),
]
FAULTS = [
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
    RuntimeError("CUDA error: uncorrectable ECC error encountered"),
    ValueError("out of memory"),
]


@pytest.mark.parametrize(("errors", "expected"), [(SHORTAGES, True), (FAULTS, False)])
def test_a_shortage_is_told_from_other_faults(errors, expected):
    assert [lacks_memory(error) for error in errors] == [expected] * len(errors)


def _network(images, batch_size):
    backbone = load(resolve(BackboneSpec(name="tiny_vit")), "cpu", "torch", batch_size)
    return backbone, [backbone.transform(image) for image in images] * 3


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: str(error)[:30])
def test_a_batch_is_halved_whoever_says_that_it_does_not_fit(images, monkeypatch, error):
    backbone, inputs = _network(images, 8)
    expected, forward = backbone.embed(inputs), backbone._forward

    def narrow(batch):
        if len(batch) > 3:
            raise error
        return forward(batch)

    monkeypatch.setattr(backbone, "_forward", narrow)
    np.testing.assert_allclose(backbone.embed(inputs), expected, rtol=1e-4, atol=1e-4)
    assert backbone.batch_size == 2


def test_other_faults_are_nobodys_batch_size(images, monkeypatch):
    backbone, inputs = _network(images, 8)

    def broken(batch):
        raise FAULTS[0]

    monkeypatch.setattr(backbone, "_forward", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        backbone.embed(inputs)
    assert backbone.batch_size == 8


def test_a_passing_shortage_passes_and_is_told_once(images, monkeypatch, caplog):
    caplog.set_level("INFO", "dfd_core")
    backbone, inputs = _network(images, 8)
    forward, fits = backbone._forward, 3

    def narrow(batch):
        if len(batch) > fits:
            raise SHORTAGES[0]
        return forward(batch)

    monkeypatch.setattr(backbone, "_forward", narrow)
    for _ in range(2 * PATIENCE):
        backbone.embed(inputs)
    assert backbone.batch_size in (2, 4)
    told = [message for message in caplog.messages if "did not fit" in message]
    assert [message.partition(" did not fit")[0] for message in told] == [f"A batch of {n} images" for n in (8, 4)]
    assert "memory of cpu (CUDA out of memory. Tried to allocate 2.00 GiB.). Batches have 2 from now on" in told[1]
    fits = 64
    for _ in range(8 * PATIENCE):
        backbone.embed(inputs)
    assert backbone.batch_size == 8
    assert caplog.messages[-1] == "Batches of 8 images fit into the memory of cpu again."


def test_a_lasting_shortage_is_met_less_and_less_often():
    shortages, size, met = Shortages(CPU), 8, []
    for number in range(100 * PATIENCE):
        if size > 4:
            met.append(number)
            size = shortages.after_one(size, size, SHORTAGES[0])
        else:
            size = shortages.after_success(size, size)
    gaps = np.diff(met)
    assert len(met) < 9
    assert (gaps[1:] > 1.9 * gaps[:-1]).all()


def test_what_is_less_than_a_batch_proves_nothing():
    shortages = Shortages(CPU)
    assert shortages.after_one(8, 100, SHORTAGES[0]) == 4
    for _ in range(2 * PATIENCE):
        assert shortages.after_success(4, 3) == 4
    assert shortages.after_one(4, 1, SHORTAGES[0]) is None
