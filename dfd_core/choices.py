"""A name out of a registry together with the options of its entry."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Any

import yaml
from pydantic import ValidationError, ValidationInfo, field_validator, model_validator

from dfd_core.specs import Spec

_LABEL = re.compile(r"(?P<name>[^()]+)(?:\((?P<options>[^()]*)\))?")


class NoOptions(Spec):
    """The options of an entry that has none."""


class Choice(Spec):
    """One entry of a registry; in a configuration its bare name or its label, `name(option=value)`, is enough.

    Attributes:
        name: The entry's name.
        options: What the entry lets one choose; what is left out is filled with the entry's defaults.

    Raises:
        UnknownNameError: The registry has no such name.
    """

    name: str
    options: dict[str, Any] = {}

    @classmethod
    @abstractmethod
    def options_of(cls, name: str) -> type[Spec]:
        """The model of an entry's options.

        Raises:
            UnknownNameError: The registry has no such name.
        """

    @model_validator(mode="before")
    @classmethod
    def _a_label_is_enough(cls, value: Any) -> Any:
        return _parsed(value) if isinstance(value, str) else value

    @field_validator("options")
    @classmethod
    def _options_fit_the_entry(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "name" not in info.data:
            return value
        model = cls.options_of(info.data["name"])
        try:
            return model.model_validate(value).model_dump(mode="json")
        except ValidationError as error:
            known = ", ".join(model.model_fields) or "none"
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ValueError(f"options of {info.data['name']}: {problems}. Its options: {known}") from error

    def parsed_options(self) -> Any:
        """The options as the entry's own model."""
        return self.options_of(self.name).model_validate(self.options)

    def label(self) -> str:
        """The name, and behind it the options that are not at their defaults: `logistic_regression(C=0.1)`."""
        chosen = self.parsed_options().model_dump(mode="json", exclude_defaults=True)
        return self.name + (f"({', '.join(f'{key}={value}' for key, value in chosen.items())})" if chosen else "")


def _parsed(label: str) -> dict[str, Any]:
    """Name and options out of `name` or `name(option=value, ...)`; values are YAML scalars."""
    found = _LABEL.fullmatch(label.strip())
    if found is None or found["options"] is None:
        return {"name": label}
    options: dict[str, Any] = {}
    for part in filter(None, map(str.strip, found["options"].split(","))):
        key, equals, value = part.partition("=")
        if not equals or key.strip() in options:
            raise ValueError(f"{label!r} is not a name, or a name with options as in knn(k=3, metric=cosine)")
        options[key.strip()] = yaml.safe_load(value)
    return {"name": found["name"].strip(), "options": options}
