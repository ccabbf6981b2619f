"""A dataset of your own from the options of a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dfd_core.errors import ConfigError
from dfd_core.specs import is_url
from flows.options import Texts


def source_of(values: dict[str, Any]) -> Any:
    """A dataset as a configuration would name it.

    Raises:
        ConfigError: A value is wrong; what was given is not repeated.
    """
    from pydantic import TypeAdapter, ValidationError

    from dfd_core.datasets import DatasetSource

    try:
        return TypeAdapter(DatasetSource).validate_python(values)
    except ValidationError as error:
        problems = "; ".join(_problem(problem["loc"], problem["msg"]) for problem in error.errors())
        raise ConfigError(f"{values['name']}: {problems}") from None  # what was given may hold a secret


def _problem(place: tuple[int | str, ...], message: str) -> str:
    """What is wrong, and with what where a key says so; the first part of a place is the kind of source."""
    keys = ".".join(str(part) for part in place[1:] if part != "[key]")
    return (f"{keys}: " if keys else "") + message.removeprefix("Value error, ")


def pairs(option: str, texts: Texts) -> dict[str, str]:
    """The values of an option that is given as `name=value`, by their names.

    Raises:
        ConfigError: One is not of that form.
    """
    found = [text.partition("=") for text in texts or []]
    wrong = next(("".join(pair) for pair in found if not all(pair)), None)
    if wrong is not None:
        raise ConfigError(f"{option} {wrong} is not a name and a value with = between them, as in {option} a=b.")
    return {key: value for key, _, value in found}


def place_of(location: str) -> str:
    """An address as it is, and a path from the root on."""
    return location if is_url(location) else str(Path(location).resolve())
