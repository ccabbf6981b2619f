"""How a configuration names or spells out an augmentation."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, TypeAdapter, ValidationError

from dfd_core.augmentations.presets import AUGMENTATIONS, ROBUSTNESS
from dfd_core.augmentations.spec import AugmentationSpec
from dfd_core.errors import ConfigError


def _look_up(value: Any) -> Any:
    """A preset's name, alone or with a seed, becomes the preset."""
    if isinstance(value, str):
        return AUGMENTATIONS[value]
    if isinstance(value, dict) and "steps" not in value and isinstance(value.get("name"), str):
        return {**value, "steps": AUGMENTATIONS[value["name"]].steps}
    return value


def _keep_presets(spec: AugmentationSpec) -> AugmentationSpec:
    if spec.name in AUGMENTATIONS and spec.steps != AUGMENTATIONS[spec.name].steps:
        known = AUGMENTATIONS[spec.name].describe()
        raise ValueError(f"{spec.name!r} is the name of a preset ({known}); give this chain another name")
    return spec


Augmentation = Annotated[AugmentationSpec, BeforeValidator(_look_up), AfterValidator(_keep_presets)]
"""The type of a configuration's field: `jpeg_q75`, `{name: jpeg_q75}`, `{name: color_jitter, seed: 3}`, or a chain of
one's own, `{name: mine, steps: [{op: gaussian_blur, sigma: [0, 3], probability: 0.5}, {op: jpeg, quality: 75}]}`."""

GROUP = "robustness"


def _with_groups(value: Any) -> Any:
    """In a list the word `robustness` stands for every preset of the robustness curves that is not named beside it."""
    if not isinstance(value, list | tuple) or GROUP not in value:
        return value
    named = {one if isinstance(one, str) else one.get("name") for one in value if isinstance(one, str | dict)}
    group = [name for series in ROBUSTNESS.values() for _, name in series if name not in named]
    return [name for one in value for name in (group if one == GROUP else [one])]


Augmentations = Annotated[tuple[Augmentation, ...], BeforeValidator(_with_groups)]
"""The type of a list of augmentations; `[none, robustness]` names all presets of the robustness curves at once."""

_ADAPTER: TypeAdapter[AugmentationSpec] = TypeAdapter(Augmentation)


def parse_augmentation(value: str | dict[str, Any] | AugmentationSpec) -> AugmentationSpec:
    """Reads one augmentation.

    Args:
        value: A preset's name, or what a configuration may say about a chain.

    Raises:
        UnknownNameError: No preset or no step has this name.
        ConfigError: A value is out of its range or has no meaning.
    """
    try:
        return _ADAPTER.validate_python(value)
    except ValidationError as error:
        places = (f"{'.'.join(map(str, found['loc'])) or 'it'}: {found['msg']}" for found in error.errors())
        raise ConfigError(f"An augmentation is not valid: {'; '.join(places)}.") from error
