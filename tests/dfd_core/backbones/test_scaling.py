"""Scaling is torchvision's to the last bit, and is done once for networks that want the same."""

import gc
import threading

import numpy as np
import pytest
import torch
from torchvision.transforms import functional

from dfd_core.backbones import BackboneSpec, load, resolve, scaling
from dfd_core.backbones.scaling import Scaling, shared_scaling

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def pictures(n, side=20, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8))


def librarys_own(pixels):
    return torch.stack([functional.normalize(functional.to_tensor(one), MEAN, STD) for one in pixels])


@pytest.mark.parametrize("side", [1, 7, 224])
def test_both_ways_are_torchvisions_bit_for_bit(side):
    pixels = pictures(5, side)
    by_rows = [np.ascontiguousarray(one.transpose(0, 2, 1)).transpose(0, 2, 1) for one in pixels]
    for layout in (pixels, by_rows):
        assert torch.equal(Scaling(MEAN, STD).scaled_here(layout), librarys_own(pixels))
        assert torch.equal(Scaling(MEAN, STD).scaled(torch.from_numpy(np.stack(layout))), librarys_own(pixels))


def test_every_level_of_grey_is_scaled_exactly():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert torch.equal(Scaling(MEAN, STD).scaled_here([levels]), librarys_own([levels]))


def test_the_same_arrays_are_scaled_once_and_others_are_not_taken_for_them():
    one = Scaling(MEAN, STD)
    pixels = pictures(4)
    first = one.scaled_here(pixels)
    first[0, 0, 0, 0] = 7  # shows whether it is made anew, as does a write by a network
    again = one.scaled_here(list(pixels))
    assert torch.equal(again, librarys_own(pixels))
    again.data[0, 0, 0, 0] = 7  # behind the back of the version counter
    assert one.scaled_here(list(pixels))[0, 0, 0, 0] == 7
    for others in (pixels[:3], [*pixels[:3], pixels[3].copy()], pixels[::-1], [*pixels, *pixels], pictures(4, 21, 1)):
        assert torch.equal(one.scaled_here(others), librarys_own(others))


def test_threads_do_not_write_over_each_other():
    one, wrong = Scaling(MEAN, STD), []

    def work(seed):
        for turn in range(50):
            pixels = pictures(3, 16, 100 * seed + turn)
            if not torch.equal(one.scaled_here(pixels), librarys_own(pixels)):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_equal_numbers_share_and_nothing_is_kept_for_networks_that_are_gone():
    one = shared_scaling(MEAN, STD)
    assert shared_scaling(list(MEAN), torch.tensor(STD, dtype=torch.float64).tolist()) is one
    other = shared_scaling((0.5,) * 3, STD)
    assert other is not one
    key = next(key for key, value in scaling._known.items() if value is other)
    del other
    gc.collect()
    assert key not in scaling._known


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_networks_that_share_give_what_they_give_alone(runtime, images):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    names = [("tiny_vit", 0), ("tiny_vit", 1), ("tiny_resnet", 0)]
    backbones = [
        load(resolve(BackboneSpec(name=name, options={"seed": seed})), "cpu", runtime, 2) for name, seed in names
    ]
    pixels = [backbones[0].transform(image) for image in images]
    alone = [one.embed([array.copy() for array in pixels]) for one in backbones]
    for one, expected in zip((*backbones, *backbones[::-1]), (*alone, *alone[::-1]), strict=True):
        np.testing.assert_array_equal(one.embed(pixels), expected)


def test_a_network_that_writes_on_its_input_harms_no_other(images):
    one, other = (load(resolve(BackboneSpec(name="tiny_vit", options={"seed": seed}))) for seed in (0, 1))
    pixels = [one.transform(image) for image in images]
    expected = other.embed(pixels)
    forward = one._forward
    one._forward = lambda batch: forward(_spoil(batch))
    one.embed(pixels)
    np.testing.assert_array_equal(other.embed(pixels), expected)


def _spoil(batch):
    with torch.inference_mode():
        return batch.mul_(3)
