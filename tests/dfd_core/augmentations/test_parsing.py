import pytest
import yaml
from pydantic import ValidationError

from dfd_core.augmentations import AUGMENTATIONS, Augmentation, AugmentationSpec, parse_augmentation
from dfd_core.errors import ConfigError, UnknownNameError
from dfd_core.specs import Spec


class Config(Spec):
    augmentations: tuple[Augmentation, ...]


def test_a_configuration_names_presets_or_spells_out_chains():
    text = """
    augmentations:
      - none
      - jpeg_q75
      - {name: color_jitter, seed: 3}
      - name: my_chain
        steps:
          - {op: gaussian_blur, sigma: [0, 3], probability: 0.5}
          - {op: jpeg, quality: [30, 100]}
        seed: 3
    """
    none, jpeg, jitter, chain = Config.model_validate(yaml.safe_load(text)).augmentations
    assert none == AUGMENTATIONS["none"]
    assert jpeg == AUGMENTATIONS["jpeg_q75"]
    assert (jitter.steps, jitter.seed) == (AUGMENTATIONS["color_jitter"].steps, 3)
    assert chain.describe() == "Gaussian blur sigma 0 to 3 with probability 0.5, then JPEG quality 30 to 100"
    assert chain.seed == 3


def test_a_configuration_survives_json():
    config = Config.model_validate({"augmentations": ["none", "cnndetection_blur_jpeg_0.5", {"name": "jpeg_q30"}]})
    assert Config.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("value", ["jpg_q75", {"name": "jpg_q75"}, {"name": "jpg_q75", "seed": 1}])
def test_an_unknown_name_gets_the_close_ones(value):
    with pytest.raises(UnknownNameError, match=r"no augmentation named 'jpg_q75'.*Did you mean 'jpeg_q75'"):
        parse_augmentation(value)
    with pytest.raises(UnknownNameError, match="Did you mean 'jpeg_q75'"):
        Config.model_validate({"augmentations": [value]})


def test_a_preset_keeps_its_meaning():
    with pytest.raises(ConfigError, match=r"'jpeg_q75' is the name of a preset \(JPEG quality 75\)"):
        parse_augmentation({"name": "jpeg_q75", "steps": [{"op": "jpeg", "quality": 70}]})
    same = {"name": "jpeg_q75", "steps": [{"op": "jpeg", "quality": 75}]}
    assert parse_augmentation(same) == AUGMENTATIONS["jpeg_q75"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"name": "x", "steps": [{"op": "jpeg", "quality": 300}]}, "steps.0.jpeg.quality.*100"),
        ({"name": "x", "steps": []}, "no steps"),
        ({"steps": [{"op": "jpeg", "quality": 30}]}, "name: Field required"),
        ({"name": "x", "steps": [{"op": "jpeg", "quality": 30}], "sede": 1}, "sede: Extra inputs"),
        ({"name": "x", "steps": "jpeg"}, "steps: "),
        (3, "valid dictionary"),
        (None, "valid dictionary"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value, words):
    with pytest.raises(ConfigError, match=words):
        parse_augmentation(value)


def test_inside_a_configuration_the_place_is_whole():
    with pytest.raises(ValidationError, match=r"augmentations\.1\.steps\.0\.gaussian_blur\.sigma"):
        Config.model_validate(
            {"augmentations": ["none", {"name": "x", "steps": [{"op": "gaussian_blur", "sigma": [3, 1]}]}]}
        )


def test_a_spec_is_taken_as_it_is():
    spec = AUGMENTATIONS["color_jitter"].model_copy(update={"seed": 4})
    assert parse_augmentation(spec) == spec
    assert isinstance(parse_augmentation("none"), AugmentationSpec)
