import pytest
from PIL import Image
from torchvision import transforms

from dfd_core.backbones import BackboneSpec, load, resolve
from dfd_core.backbones.geometry_guard import MOST_RESIZED_PIXELS, check_resizable, resized_shorter_side
from dfd_core.errors import ImageError


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (transforms.Compose([transforms.Resize(168), transforms.CenterCrop(160)]), 168),
        (transforms.Resize([224]), 224),
        (transforms.Compose([transforms.Resize((224, 224)), transforms.CenterCrop(10)]), None),
        (transforms.Compose([transforms.CenterCrop(160)]), None),
        (None, None),
    ],
)
def test_the_shorter_side_is_what_the_transform_makes_it(transform, expected):
    assert resized_shorter_side(transform) == expected


@pytest.mark.parametrize("name", ["tiny_vit", "tiny_clip", "tiny_resnet"])
def test_it_is_found_in_the_transforms_that_libraries_build(name):
    transform = load(resolve(BackboneSpec(name=name)))._transform
    side = resized_shorter_side(transform)
    assert side == transform.transforms[0](Image.new("RGB", (500, 300))).height


@pytest.mark.parametrize("size", [(1000, 10), (10, 1000), (333, 1000), (7, 3)])
@pytest.mark.parametrize("side", [5, 64, 168])
def test_the_size_is_foreseen_and_refused_past_the_limit(monkeypatch, size, side):
    resized = transforms.Resize(side)(Image.new("RGB", size))
    monkeypatch.setattr("dfd_core.backbones.geometry_guard.MOST_RESIZED_PIXELS", resized.width * resized.height)
    check_resizable(size, side)
    monkeypatch.setattr("dfd_core.backbones.geometry_guard.MOST_RESIZED_PIXELS", resized.width * resized.height - 1)
    with pytest.raises(ImageError, match=f"{size[0]} x {size[1]} pixels are too narrow") as caught:
        check_resizable(size, side)
    assert caught.value.status == "unsupported"


def test_what_people_photograph_is_within_the_limit():
    for size in ((60_000, 1000), (800, 30_000), (10_000, 10_000), (1, 1)):
        for side in (64, 224, 518):
            check_resizable(size, side)
    check_resizable((100_000, 1), None)
    with pytest.raises(ImageError):
        check_resizable((100_000, 1), 64)
    assert MOST_RESIZED_PIXELS == 50_000_000
