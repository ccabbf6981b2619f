"""The two parts of a transform together are the library's own, bit for bit; the faster resize stays within 1 of 255."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms

from dfd_core.backbones import BACKBONES, BackboneSpec, open_clip_models, timm_models
from dfd_core.backbones.transforms import SplitTransform, _stays_within_one

NETWORKS = [name for name, card in BACKBONES.items() if card.library != "spectrum"]
SIZES = ((256, 256), (301, 517), (64, 48), (1030, 700), (30, 400), (224, 224), (248, 248))


def own_transform(name):
    card = BACKBONES[name]
    library = timm_models if card.library == "timm" else open_clip_models
    return library.transform(library.preprocessing(card, BackboneSpec(name=name).parsed_options()))


def noise(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", NETWORKS)
def test_both_parts_together_are_the_librarys_own_transform_bit_for_bit(name):
    own = own_transform(name)
    split = SplitTransform(own)
    for width, height in SIZES:
        image = noise(width, height)
        pixels = split.pixels(image)
        assert pixels.dtype == np.uint8
        assert pixels.shape == (split.side, split.side, 3)
        assert torch.equal(split.scaling.scaled(torch.from_numpy(pixels.copy())[None])[0], own(image))


def test_backbones_share_their_pixels_only_where_they_are_the_same():
    splits = {name: SplitTransform(own_transform(name)) for name in NETWORKS}
    seen = set()
    for width, height in (*SIZES, (224, 224), (248, 248), (224, 300), (513, 512)):
        image = noise(width, height)
        for one in NETWORKS:
            for other in NETWORKS:
                if one < other and splits[one].key(image.size) == splits[other].key(image.size):
                    seen.add((one, other, width == height))
                    np.testing.assert_array_equal(splits[one].pixels(image), splits[other].pixels(image))
    assert ("clip_vit_b16", "clip_vit_l14", False) in seen
    assert ("clip_vit_b16", "siglip2_vit_b16", True) in seen
    assert splits["clip_vit_b16"].key((300, 200)) != splits["siglip2_vit_b16"].key((300, 200))
    assert not any({"clip_vit_b16", "dino_vit_b16"} == {one, other} for one, other, _ in seen)
    size = (1000, 1000)
    assert SplitTransform(own_transform("clip_vit_b16"), "tensor").key(size) != splits["clip_vit_b16"].key(size)


@settings(max_examples=40)
@given(
    side=st.sampled_from([64, 160, 224, 256, 336, 518]),
    factor=st.floats(2, 6),
    aspect=st.floats(0.68, 4),
    seed=st.integers(0, 2**32 - 1),
    black_and_white=st.booleans(),
    mode=st.sampled_from([transforms.InterpolationMode.BICUBIC, transforms.InterpolationMode.BILINEAR]),
)
def test_the_tensor_resize_stays_within_one_of_255(side, factor, aspect, seed, black_and_white, mode):
    short = int(np.ceil(side * factor))
    width, height = (round(short * aspect), short) if aspect >= 1 else (short, round(short / aspect))
    if width * height > 4_000_000:
        width, height = short, short
    image = noise(width, height, seed)
    if black_and_white:  # the hardest there is: every overshoot is clipped
        image = Image.fromarray((np.asarray(image) > 127).astype(np.uint8) * 255)
    parts = [transforms.Resize(side, mode), transforms.CenterCrop(side), transforms.ToTensor()]
    own = transforms.Compose([*parts, transforms.Normalize((0.5,) * 3, (0.5,) * 3)])
    assert _stays_within_one(image, parts[0])
    exact, fast = (SplitTransform(own, resizing).pixels(image).astype(int) for resizing in ("pillow", "tensor"))
    assert np.abs(exact - fast).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(256, 256), (447, 900), (500, 1000), (224, 4000)])
def test_where_the_tensor_resize_is_not_close_pillow_resizes(width, height):
    own = own_transform("clip_vit_b16")
    image = noise(width, height)
    np.testing.assert_array_equal(SplitTransform(own, "tensor").pixels(image), SplitTransform(own).pixels(image))


def test_a_part_that_is_not_known_is_refused():
    flipping = transforms.Compose(
        [transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]
    )
    with pytest.raises(ValueError, match="can't be shared"):
        SplitTransform(flipping)
