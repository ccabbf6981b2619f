"""The three ways to name a dataset in a configuration: from the catalogue, as folders, as a table."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from dfd_core.specs import Location, Spec

DatasetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Layout = Literal["auto", "generator", "field", "label"]
SplitName = Literal["train", "validation", "test"]


class CatalogueSource(Spec):
    """A dataset of the catalogue (`dfd datasets list`); a bare name in a configuration is one of these.

    Attributes:
        catalogue: Its name in the catalogue.
        name: Its name in results; the catalogue's by default.
        options: What the dataset's card lets one choose, checked by the card.
        groups: As for folders.
    """

    catalogue: str
    name: DatasetName
    options: dict[str, Any] = {}
    groups: Location | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_bare_name_is_enough(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"catalogue": value}
        if isinstance(value, dict) and "name" not in value and "catalogue" in value:
            return {**value, "name": value["catalogue"]}
        return value


class _OwnSource(Spec):
    name: DatasetName
    families: dict[str, str] = {}
    group_pattern: str | None = None
    groups: Location | None = None
    splits: dict[SplitName, Location] | None = None

    @field_validator("group_pattern")
    @classmethod
    def _is_a_regular_expression(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return value


class FolderSource(_OwnSource):
    """Folders of images, at any fsspec URL.

    Attributes:
        name: The dataset's name in results.
        folders: Where the images are; reals and fakes may stand in different folders.
        layout: `generator` is `<generator>/<real|fake>/`, `field` is `0_real|1_fake` (also nested by generator and
            category), `label` is `real|fake`; `auto` finds out.
        generator: The one generator's name where the layout does not say it (`label`, or `field` without nesting).
        families: Family of generators, over the table of known ones.
        group_pattern: Regular expression searched in a relative path; its first group, or the whole match, is the
            sample's group, and a group is never on both sides of a split.
        groups: A CSV or Parquet table with the columns `path` and `group`, as `dfd audit --groups` writes it of near
            duplicates; its groups are joined with those of the pattern that they have samples in common with.
        splits: Explicit splits: for each split the URL of a text file with one relative path a line.
    """

    folders: Annotated[tuple[Location, ...], Field(min_length=1)]
    layout: Layout = "auto"
    generator: str | None = None

    @field_validator("folders", mode="before")
    @classmethod
    def _one_folder_is_a_list_of_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class TableSource(_OwnSource):
    """A CSV or Parquet table with a row per image.

    Attributes:
        name: The dataset's name in results.
        table: The table's URL; relative image paths in it are taken from its folder.
        families: Family of generators, over the table of known ones.
        group_pattern: As for folders, where the table has no `group` column.
        groups: As for folders, also where the table has that column.
        splits: As for folders, where the table has no `split` column.
        torn_groups: A group whose samples stand in several of the table's splits is an error (`refuse`), or goes as a
            whole to the first of train, validation and test that has some (`earliest`), so that nothing that is tested
            on was trained on; a note says how many.
    """

    table: Location
    torn_groups: Literal["refuse", "earliest"] = "refuse"


def _kind(value: Any) -> str | None:
    keys = ("catalogue", "folders", "table")
    return next((key for key in keys if (key in value if isinstance(value, dict) else hasattr(value, key))), None)


DatasetSource = Annotated[
    Annotated[CatalogueSource, Tag("catalogue")]
    | Annotated[FolderSource, Tag("folders")]
    | Annotated[TableSource, Tag("table")],
    Discriminator(
        lambda value: "catalogue" if isinstance(value, str) else _kind(value),
        custom_error_type="dataset_source",
        custom_error_message="a dataset is a catalogue name or has one of the keys catalogue, folders, table",
    ),
]
