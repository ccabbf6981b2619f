import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dfd_core.augmentations.steps import (
    OPERATIONS,
    AnyStep,
    CenterCrop,
    ColorJitter,
    Crop,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    Resize,
    ResizeTo,
    Step,
)
from dfd_core.errors import UnknownNameError

STEP = TypeAdapter(Step)


def step(**fields):
    return STEP.validate_python(fields)


def test_one_number_is_a_range_of_one():
    assert step(op="gaussian_blur", sigma=2) == step(op="gaussian_blur", sigma=[2, 2.0]) == GaussianBlur(sigma=(2, 2))
    assert step(op="jpeg", quality=75).content_hash() == step(op="jpeg", quality=[75, 75]).content_hash()


def test_jitter_strengths_become_ranges_as_in_torchvision():
    jitter = step(op="color_jitter", brightness=0.4, contrast=3, saturation=[0.5, 2], hue=0.1)
    assert jitter.brightness == (0.6, 1.4)
    assert jitter.contrast == (0, 4)
    assert jitter.saturation == (0.5, 2)
    assert jitter.hue == (-0.1, 0.1)
    assert list(jitter.ranges()) == ["brightness", "contrast", "saturation", "hue"]


def test_a_negative_zero_has_the_hash_of_zero():
    assert "-0.0" not in step(op="color_jitter", brightness=1, hue=[-0.0, 0.2]).model_dump_json()
    assert list(step(op="color_jitter", brightness=1, hue=-0.0).ranges()) == ["brightness"]


@pytest.mark.parametrize(
    ("fields", "place", "words"),
    [
        ({"op": "jpeg", "quality": 0}, "quality", "greater than or equal to 1"),
        ({"op": "jpeg", "quality": [30, 101]}, "quality", "less than or equal to 100"),
        ({"op": "jpeg", "quality": 75.5}, "quality", "integer"),
        ({"op": "jpeg", "quality": [90, 30]}, "quality", "[30, 90] instead of [90, 30]"),
        ({"op": "jpeg", "quality": [1, 2, 3]}, "quality", "a list of two numbers"),
        ({"op": "jpeg", "quality": "75"}, "quality", "a number"),
        ({"op": "jpeg", "quality": True}, "quality", "a number"),
        ({"op": "jpeg"}, "quality", "required"),
        ({"op": "jpeg", "quality": 75, "subsampling": "4:1:1"}, "subsampling", "'4:2:0'"),
        ({"op": "jpeg", "quality": 75, "sigma": 1}, "sigma", "Extra inputs"),
        ({"op": "gaussian_blur", "sigma": -1}, "sigma", "greater than or equal to 0"),
        ({"op": "gaussian_blur", "sigma": float("nan")}, "sigma", "finite"),
        ({"op": "gaussian_blur", "sigma": 1, "probability": 1.5}, "probability", "less than or equal to 1"),
        ({"op": "gaussian_blur", "sigma": 1, "probability": -0.5}, "probability", "greater than or equal to 0"),
        ({"op": "color_jitter"}, "color_jitter", "changes nothing"),
        ({"op": "color_jitter", "hue": 0.6}, "hue", "0.5"),
        ({"op": "color_jitter", "brightness": -0.1}, "brightness", "not negative"),
        ({"op": "color_jitter", "brightness": [-0.1, 1]}, "brightness", "greater than or equal to 0"),
        ({"op": "resize", "factor": 0}, "factor", "greater than or equal to 0.01"),
        ({"op": "resize", "factor": 17}, "factor", "less than or equal to 16"),
        ({"op": "resize", "factor": 2, "filter": "nearest"}, "filter", "'lanczos'"),
        ({"op": "resize_to", "side": 0}, "side", "greater than or equal to 1"),
        ({"op": "center_crop", "side": 2.5}, "side", "integer"),
        ({"op": "crop", "share": [0.5, 1.5]}, "share", "less than or equal to 1"),
        ({"op": "gaussian_noise", "sigma": -2}, "sigma", "greater than or equal to 0"),
        ({"quality": 75}, "", "`op`, one of gaussian_blur, jpeg, color_jitter"),
    ],
)
def test_values_out_of_range_are_told_with_their_place(fields, place, words):
    with pytest.raises(ValidationError) as caught:
        step(**fields)
    assert place in str(caught.value)
    assert words in str(caught.value)


def test_an_unknown_operation_gets_the_close_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'gaussian_blur'"):
        step(op="gausian_blur", sigma=1)


def test_every_operation_is_in_the_list_of_operations():
    assert {kind.model_fields["op"].default for kind in get_args(AnyStep)} == set(OPERATIONS)


@pytest.mark.parametrize(
    ("fields", "drawn"),
    [
        ({"op": "jpeg", "quality": 75}, False),
        ({"op": "jpeg", "quality": [75, 76]}, True),
        ({"op": "jpeg", "quality": 75, "probability": 0.5}, True),
        ({"op": "jpeg", "quality": [75, 76], "probability": 0}, False),
        ({"op": "color_jitter", "brightness": [1.2, 1.2]}, False),
        ({"op": "color_jitter", "hue": 0.1}, True),
        ({"op": "resize", "factor": 2}, False),
        ({"op": "resize", "factor": [0.5, 2]}, True),
        ({"op": "resize_to", "side": 256}, False),
        ({"op": "center_crop", "side": 256, "probability": 0.5}, True),
        ({"op": "crop", "share": 0.5}, False),
        ({"op": "gaussian_noise", "sigma": 3}, True),
        ({"op": "gaussian_noise", "sigma": 3, "probability": 0}, False),
        ({"op": "gaussian_noise", "sigma": 0}, False),
    ],
)
def test_a_step_knows_whether_chance_has_a_part_in_it(fields, drawn):
    assert step(**fields).is_drawn is drawn


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"op": "jpeg", "quality": [30, 100], "probability": 0.5}, "JPEG quality 30 to 100 with probability 0.5"),
        ({"op": "jpeg", "quality": 75, "subsampling": "4:4:4"}, "JPEG 4:4:4 quality 75"),
        ({"op": "gaussian_blur", "sigma": 1.5}, "Gaussian blur sigma 1.5"),
        ({"op": "resize", "factor": [0.5, 2], "filter": "lanczos"}, "resize by 0.5 to 2 (lanczos)"),
        ({"op": "resize_to", "side": 256}, "shorter side to 256 px"),
        ({"op": "center_crop", "side": 256}, "centre crop 256 x 256"),
        ({"op": "crop", "share": 0.9}, "centre crop to 0.9 of each side"),
        ({"op": "gaussian_noise", "sigma": 5}, "Gaussian noise sigma 5"),
        (
            {"op": "color_jitter", "contrast": 0.25, "hue": 0.1},
            "colour jitter (contrast 0.75 to 1.25, hue -0.1 to 0.1)",
        ),
    ],
)
def test_a_step_describes_itself(fields, text):
    assert step(**fields).describe() == text


RANGES = st.tuples(st.integers(1, 100), st.integers(1, 100)).map(lambda ends: tuple(sorted(ends)))
UNITS = st.floats(0, 1)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    value=st.one_of(
        st.builds(Jpeg, quality=RANGES, probability=UNITS),
        st.builds(GaussianBlur, sigma=RANGES, probability=UNITS),
        st.builds(Resize, factor=st.floats(0.01, 16).map(lambda v: (v, v)), probability=UNITS),
        st.builds(ResizeTo, side=st.integers(1, 8192)),
        st.builds(CenterCrop, side=st.integers(1, 8192)),
        st.builds(Crop, share=st.floats(0.01, 1).map(lambda v: (v, v))),
        st.builds(GaussianNoise, sigma=RANGES, probability=UNITS),
        st.builds(ColorJitter, brightness=st.floats(0.01, 2), hue=st.floats(0, 0.5), probability=UNITS),
    )
)
def test_a_step_survives_json(value):
    again = STEP.validate_python(json.loads(value.model_dump_json()))
    assert again == value
    assert again.content_hash() == value.content_hash()
