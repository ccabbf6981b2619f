"""A folder, bucket or table of your own as a dataset with a name: one YAML card in the store's folder `cards/`."""

from __future__ import annotations

from typing import Annotated, Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from dfd_core.datasets.catalogue import DATASETS
from dfd_core.datasets.sources import CatalogueSource, DatasetSource, FolderSource, TableSource
from dfd_core.errors import ConfigError
from dfd_core.storage import Store

FOLDER = "cards"
_ADAPTER: TypeAdapter[FolderSource | TableSource] = TypeAdapter(Annotated[FolderSource | TableSource, Field()])


def own_card(source: DatasetSource, store: Store) -> FolderSource | TableSource | None:
    """Where the files of a dataset of your own are; `None` for a dataset of the catalogue.

    Args:
        source: A source with folders or a table, which is its own answer, or a name that the store may have a card of.
        store: Where cards are kept.

    Raises:
        ConfigError: The card can't be read.
    """
    if not isinstance(source, CatalogueSource):
        return source
    path = f"{FOLDER}/{source.catalogue}.yaml"
    if source.catalogue in DATASETS or "/" in source.catalogue or not store.exists(path):
        return None
    if source.options:
        raise ConfigError(f"{source.catalogue} is a dataset of your own ({store.url(path)}) and has no options.")
    card = _read(store, path)
    return card.model_copy(update={"name": source.name, "groups": source.groups or card.groups})


def check_is_free(source: FolderSource | TableSource, store: Store) -> None:
    """Checks that the store has no other dataset of your own under the name.

    Raises:
        ConfigError: It has.
    """
    path = f"{FOLDER}/{source.name}.yaml"
    if store.exists(path) and _read(store, path) != source:
        raise ConfigError(
            f"There is another dataset of your own named {source.name!r}: {store.url(path)}. Give this one another "
            f"name, or remove that card: `dfd datasets remove {source.name}`."
        )


def keep(source: FolderSource | TableSource, store: Store) -> str:
    """Writes the card of a dataset of your own; from then on its name is enough.

    Returns:
        The card's address.

    Raises:
        ConfigError: The store has another one of that name.
    """
    check_is_free(source, store)
    text = yaml.safe_dump(source.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True)
    return store.write_bytes(f"{FOLDER}/{source.name}.yaml", text.encode())


def forget(name: str, store: Store) -> bool:
    """Removes a card, never the files that it names."""
    path = f"{FOLDER}/{name}.yaml"
    if not store.exists(path):
        return False
    store.fs.rm(store.fs._strip_protocol(store.url(path)))
    return True


def own_cards(store: Store) -> dict[str, FolderSource | TableSource]:
    """All cards of a store, by name."""
    return {name.removesuffix(".yaml"): _read(store, f"{FOLDER}/{name}") for name in store.names(FOLDER, ".yaml")}


def _read(store: Store, path: str) -> FolderSource | TableSource:
    try:
        values: Any = yaml.safe_load(store.read_bytes(path))
        return _ADAPTER.validate_python(values)
    except ValidationError as error:  # without what was given: it may be a secret
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"The card {store.url(path)} can't be read: {problems}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"The card {store.url(path)} can't be read: {error}") from error
