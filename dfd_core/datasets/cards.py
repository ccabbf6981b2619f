"""What the catalogue knows of a dataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, computed_field, field_validator, model_validator

from dfd_core.datasets.families import Family
from dfd_core.datasets.sources import DatasetName
from dfd_core.errors import ConfigError
from dfd_core.progress import Bytes, Progress
from dfd_core.specs import Spec, content_hash, readable_key
from dfd_core.storage import Store

Make = Callable[[Any, Store, str, Progress | None], int]
"""Takes options, store, folder and progress; writes the files that are missing and returns how many it wrote."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Part(Spec):
    """One file to download.

    Attributes:
        address: As `dfd_core.datasets.downloading.providers` has it; on the hub `*` stands for many files.
        size_bytes: Its size, where the publisher states it.
        sha256: Its digest, where the publisher states it. Elsewhere it is recorded at the first download, and held.
        md5: Its MD5, where that is all that the publisher states. It shows damage and another version, no forgery.
    """

    address: str
    size_bytes: Annotated[int, Field(gt=0)] | None = None
    sha256: Sha256 | None = None
    md5: Md5 | None = None

    @property
    def name(self) -> str:
        """A file name for it."""
        return re.sub(r"[^A-Za-z0-9._-]+", "_", self.address.split("?")[0].rstrip("/").rsplit("/", 1)[-1])


class Rows(Spec):
    """How a Parquet file holds images.

    Attributes:
        image: The column of their bytes, or of a struct with a field `bytes`.
        path: The path that a row gets for the rules, with columns in braces: `{label}/{model}`.
    """

    image: str
    path: str

    @property
    def columns(self) -> list[str]:
        """The columns that the path is made of."""
        return re.findall(r"{(\w+)}", self.path)


class Archive(Spec):
    """An archive of images.

    Attributes:
        name: What it is called, also in its images' paths.
        kind: What it is.
        parts: Its file, or the parts that it was split into.
        inside: The archive in it that holds the images, where it is packed twice.
        rows: For Parquet, where the images are.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    kind: Literal["zip", "tar", "tar.gz", "7z", "parquet"]
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]
    inside: str | None = None
    rows: Rows | None = None

    @model_validator(mode="after")
    def _parquet_has_rows(self) -> Archive:
        if (self.kind == "parquet") != (self.rows is not None):
            raise ValueError("`rows` belongs to parquet")
        return self


class Rule(Spec):
    """What a path says of an image; the first rule of a card that matches a path counts.

    Attributes:
        pattern: Matched against the whole of `<archive>/<path in it>`, or of the path in the folder of what was put
            there by hand. Its groups `generator`, `source`, `category`, `split` and `group` say so.
        label: 0 real, 1 generated.
        generator: Of generated images, where no group says it.
        source: Of reals, where no group says it. The source `g` of reals pairs them with the generator `g`.
        split: Where the publisher fixed it and no group says it.
    """

    pattern: str
    label: Literal[0, 1]
    generator: str | None = None
    source: str | None = None
    split: Literal["train", "validation", "test"] | None = None

    @field_validator("pattern")
    @classmethod
    def _is_a_regular_expression(cls, value: str) -> str:
        try:
            groups = set(re.compile(value).groupindex)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        if unknown := groups - {"generator", "source", "category", "split", "group"}:
            raise ValueError(f"groups that mean nothing: {sorted(unknown)}")
        return value


class ByHand(Spec):
    """What a person must do where a licence or a login stands before the files.

    Attributes:
        page: Where they are.
        accept: What to accept there.
        files: What to put into the folder that the error message names.
        instead: Whether they take the place of the archives, which are downloaded where the folder is empty.
    """

    page: str
    accept: str
    files: str
    instead: bool = False


class Formats(Spec):
    """Encodings of each class, by Pillow's names; none where they are not verified.

    Where they differ, they tell the classes apart by themselves.
    """

    real: tuple[str, ...]
    fake: tuple[str, ...]


class DatasetCard(Spec):
    """A dataset of the catalogue.

    Attributes:
        name: As it is called in configurations.
        title: One line for lists.
        description: What it holds and what it is for.
        page: Where it is published.
        sources: Works to cite and to credit.
        licence: Terms under which its images may be used.
        size_hint: How much it is, by default options.
        size_bytes: To download, about; 0 for what makes itself.
        generators: Family of each generator; of very many the main ones, and none where its user has to bring fakes.
        reals: Where its reals come from.
        pairing: `own`: each generator has reals of its own. `all`: every generator is compared with all reals.
        splits: Which the publisher fixed; without, 80/10/10 is drawn.
        formats: Encodings of each class.
        traps: What is known to mislead.
        revision: Grows whenever the same options give other files.
        options: Type of what a user may choose.
        archives: What is downloaded.
        rules: What paths say of images.
        names: Generators and sources by the names of their folders, and splits, where they differ.
        by_hand: What a person must do first, or may do instead.
        make: Makes the files below a folder, in the layout `<generator>/<real|fake>/`, where nothing is downloaded.
    """

    name: DatasetName
    title: str
    description: str
    page: str
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    licence: str
    size_hint: str
    size_bytes: Annotated[int, Field(ge=0)]
    generators: dict[str, Family]
    reals: Annotated[tuple[str, ...], Field(min_length=1)]
    pairing: Literal["own", "all"]
    splits: str
    formats: Formats
    traps: tuple[str, ...] = ()
    revision: Annotated[int, Field(ge=1)]
    options: Annotated[type[Spec], Field(exclude=True)]
    archives: tuple[Archive, ...] = ()
    rules: tuple[Rule, ...] = ()
    names: dict[str, str] = {}
    by_hand: ByHand | None = None
    make: Annotated[Make | None, Field(exclude=True)] = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def size_on_disk(self) -> str:
        """What it takes in a store, in words: images are compressed already, and unpack to about what archives take."""
        size = Bytes(self.size_bytes)
        if not self.archives:
            return self.size_hint
        both = f"about {Bytes(2 * size)}: {size} of archives, which stay, and as much again unpacked"
        return both if self.archives[0].kind == "tar.gz" else f"{both}; the archives alone where `in_place` is possible"

    @model_validator(mode="after")
    def _has_one_origin(self) -> DatasetCard:
        if (self.make is None) != bool(self.archives or self.by_hand) or bool(self.rules) == (self.make is not None):
            raise ValueError("a dataset is made by `make`, or has `rules` and `archives` or `by_hand`")
        return self

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
    choice: Mapping[str, Any] = next((one for one in schema.get("anyOf", []) if one.get("type") != "null"), {})
    known = {**choice, **schema}
    facts = [str(known["type"]), *(f"{word} {known[key]}" for key, word in words.items() if known.get(key) is not None)]
    return f"{name} ({', '.join(facts)})"
