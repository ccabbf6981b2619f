"""The way over a GPU, with streams and events of the CPU: what is copied, shared, timed, and made smaller.

What a GPU itself does is in `test_on_a_gpu.py`.
"""

import contextlib
import threading
import time

import numpy as np
import pytest
import torch

from dfd_core.backbones import BackboneSpec, frozen, gpu, load, resolve
from dfd_core.backbones.specs import Busy

CPU = torch.device("cpu")


class Event:
    """A mark in a stream; as all work is over when a call returns, it is reached when it is made."""

    def __init__(self, enable_timing):
        self.at_s = None

    def record(self, stream):
        self.at_s = time.perf_counter()
        stream.done.append(self)

    def synchronize(self):
        assert self.at_s is not None, "waited for what was never recorded"

    def elapsed_time(self, other):
        return 1000 * (other.at_s - self.at_s)


class Stream:
    def __init__(self, device=CPU):
        self.done = []

    def wait_event(self, event):
        assert event.at_s is not None, "waited for what was never recorded"
        self.done.append(event)


@pytest.fixture
def streams(monkeypatch):
    """The computing stream, and the tensors that a stream said that it uses."""
    computing, used = Stream(), []
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: computing)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: used.append("emptied"))
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: used.append(stream), raising=False)
    empty = torch.empty

    def unpinned(*shape, pin_memory=False, **more):
        return empty(*shape, **more)

    monkeypatch.setattr(torch, "empty", unpinned)
    monkeypatch.setattr(gpu, "_of_thread", gpu._OfThread())
    return computing, used


@pytest.fixture
def networks(streams, monkeypatch):
    """Three networks that want the same pixels, in batches of their own, and take the way over a GPU."""
    made = [
        load(resolve(BackboneSpec(name=name, options={"seed": seed})), "cpu", "torch", batch_size)
        for name, seed, batch_size in (("tiny_vit", 0, 2), ("tiny_vit", 1, 3), ("tiny_resnet", 0, 8))
    ]
    monkeypatch.setattr(frozen.FrozenNetwork, "_on_cpu", frozen.FrozenNetwork._on_gpu)
    at_once = frozen.FrozenNetwork._at_once

    def as_on_a_gpu(self, one):
        self.device, device = torch.device("cuda"), self.device
        try:
            return at_once(self, one)
        finally:
            self.device = device

    monkeypatch.setattr(frozen.FrozenNetwork, "_at_once", as_on_a_gpu)
    return made


@pytest.fixture
def copies(monkeypatch):
    """How many images each copy had."""
    counts, make = [], gpu.Copied.__init__

    def counted(self, inputs, device, stream):
        counts.append(len(inputs))
        make(self, inputs, device, stream)

    monkeypatch.setattr(gpu.Copied, "__init__", counted)
    return counts


def test_networks_share_one_copy_of_the_same_pixels_whatever_their_batch_size(networks, copies, images, streams):
    pixels = [networks[0].transform(image) for image in images] * 3
    found = [one.embed(pixels) for one in networks]
    assert copies == [9]
    assert streams[1] == [streams[0]] * 3
    for network, X in zip(networks, found, strict=True):
        batches = torch.from_numpy(np.stack(pixels)).split(network.batch_size)
        scaled = (network.split.scaling.scaled(batch) for batch in batches)
        np.testing.assert_array_equal(X, torch.cat([network._forward(batch) for batch in scaled]).numpy())


def test_a_network_that_wants_other_pixels_may_stand_between(networks, copies, images):
    some, others = ([networks[0].transform(image) for image in images] for _ in range(2))
    for network, pixels in zip(networks, (some, others, some), strict=True):
        network.embed(pixels)
    assert copies == [3, 3]
    assert len(gpu.transfers_to(CPU)._kept) == gpu.KEPT
    networks[0].embed(some[:1])
    assert len(gpu.transfers_to(CPU)._kept) == gpu.KEPT


def test_other_arrays_are_not_taken_for_those_that_were_copied(networks, copies, images):
    network = networks[0]
    pixels = [network.transform(image) for image in images]
    others = [pixels[:2], pixels[::-1], [*pixels[:2], pixels[2].copy()], pixels * 2]
    expected = network.embed(pixels)
    for one in others:
        network.embed(one)
    assert copies == [3, 2, 3, 3, 6]
    np.testing.assert_array_equal(network.embed(pixels[::-1]), expected[::-1])


def test_threads_share_nothing(networks, copies, images):
    pixels = [networks[0].transform(image) for image in images]
    networks[0].embed(pixels)
    thread = threading.Thread(target=networks[1].embed, args=(pixels,))
    thread.start()
    thread.join()
    assert copies == [3, 3]


def test_large_inputs_are_copied_in_pieces(networks, copies, images, monkeypatch):
    network = networks[1]
    pixels = [network.transform(image) for image in images for _ in range(3)]
    expected = network.embed(pixels)
    monkeypatch.setattr(gpu, "COPIED_AT_ONCE_BYTES", 4 * pixels[0].nbytes)
    copies.clear()
    np.testing.assert_array_equal(network.embed(pixels), expected)
    assert copies == [4, 4, 1]
    monkeypatch.setattr(gpu, "COPIED_AT_ONCE_BYTES", 1)
    copies.clear()
    network.embed(pixels)
    assert copies == [3, 3, 3]


def test_room_is_made_before_the_clock_of_a_transfer_starts_and_a_copy_counts_once(streams, monkeypatch):
    monkeypatch.setattr(Event, "elapsed_time", lambda self, other: 1000.0 if self.at_s <= other.at_s else -1000.0)
    made, record, fresh = [], Event.record, torch.empty

    def noted(self, stream):
        made.append("mark")
        record(self, stream)

    monkeypatch.setattr(Event, "record", noted)
    monkeypatch.setattr(torch, "empty", lambda *a, **k: made.append("room") or fresh(*a, **k))
    transfers, busy = gpu.Transfers(CPU), Busy()
    inputs = [np.zeros((4, 4, 3), np.uint8)] * 2

    def network(pixels):
        return pixels.float().flatten(1)[:, :5]

    collect = [gpu.start(network, inputs, 2, 5, transfers, busy) for _ in range(2)]
    assert made[:4] == ["room", "room", "mark", "mark"]
    assert (busy.transfer_s, busy.forward_s) == (0, 0)
    assert [one().shape for one in collect] == [(2, 5)] * 2
    assert (busy.transfer_s, busy.forward_s) == (1, 2)


def test_while_memory_is_short_no_more_is_copied_than_a_batch(networks, copies, images, monkeypatch):
    network = networks[2]
    pixels = [network.transform(image) for image in images] * 4
    expected, forward = network.embed(pixels), network._forward
    copies.clear()

    def narrow(batch):
        if len(batch) > 3:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
        return forward(batch)

    monkeypatch.setattr(network, "_forward", narrow)
    np.testing.assert_allclose(network.embed([one.copy() for one in pixels]), expected, rtol=1e-4, atol=1e-4)
    assert copies == [12, 4, *[2] * 6]
    assert network.batch_size == 2
