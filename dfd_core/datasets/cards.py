"""What the catalogue knows of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from dfd_core.datasets.sources import DatasetName
from dfd_core.errors import ConfigError
from dfd_core.specs import Spec, content_hash, readable_key
from dfd_core.storage import Store

Progress = Callable[[int, int], None]
"""Called with the number of finished files and of all."""
Make = Callable[[Any, Store, str, Progress | None], int]
"""Takes options, store, folder and progress; writes the files that are missing and returns how many it wrote."""


class DatasetCard(Spec):
    """A dataset of the catalogue.

    Attributes:
        name: As it is called in configurations.
        title: One line for lists.
        description: What it holds and what it is for.
        sources: Works to cite and to credit.
        licence: Terms under which its images may be used.
        size_hint: How much it is, by default options.
        generators: Family of each generator.
        revision: Grows whenever the same options give other files.
        options: Type of what a user may choose.
        make: Makes or fetches the files below a folder, in the layout `<generator>/<real|fake>/`.
    """

    name: DatasetName
    title: str
    description: str
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    licence: str
    size_hint: str
    generators: dict[str, str]
    revision: Annotated[int, Field(ge=1)]
    options: Annotated[type[Spec], Field(exclude=True)]
    make: Annotated[Make, Field(exclude=True)]

    def read_options(self, values: Mapping[str, Any]) -> Spec:
        """Checks a user's choices.

        Raises:
            ConfigError: An option is unknown or out of bounds; the message lists the accepted ones.
        """
        try:
            return self.options.model_validate(dict(values))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'options'}: {problem['msg']}, not {problem['input']!r}"
                if problem["type"] != "extra_forbidden"
                else f"{'.'.join(map(str, problem['loc']))}: no such option"
                for problem in error.errors()
            )
            accepted = "; ".join(self.accepted_options()) or "none"
            raise ConfigError(f"Options of the dataset {self.name!r}: {problems}. Accepted: {accepted}.") from error

    def accepted_options(self) -> list[str]:
        """A line for each option, with its default and bounds."""
        return [_described(name, schema) for name, schema in self.options.model_json_schema()["properties"].items()]

    def folder(self, options: Spec) -> str:
        """Where in a store the dataset lies with these options."""
        facts = {"dataset": self.name, "revision": self.revision, "options": options.model_dump(mode="json")}
        return f"datasets/{readable_key(self.name, content_hash(facts))}"


def _described(name: str, schema: Mapping[str, Any]) -> str:
    words = {"minimum": "from", "maximum": "to", "multipleOf": "a multiple of", "default": "by default"}
    facts = [str(schema["type"]), *(f"{word} {schema[key]}" for key, word in words.items() if key in schema)]
    return f"{name} ({', '.join(facts)})"
