"""Which manifests of a dataset count: of each source the one that was prepared last, and of each split of it."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from dfd_core.datasets.acquire import resolve
from dfd_core.datasets.own_cards import own_card
from dfd_core.datasets.sources import DatasetSource
from dfd_core.errors import UsageError
from dfd_core.manifests.manifest import FOLDER, Manifest, times
from dfd_core.specs import content_hash
from dfd_core.storage import Store

_SOURCE: TypeAdapter[DatasetSource] = TypeAdapter(DatasetSource)


def standing(name: str, store: Store, of_each_split: bool = True) -> list[Manifest]:
    """The manifests of a dataset that count, the one that was prepared last at the end.

    Earlier ones of the same source are of files as they were; they stay, because features and results name them.

    Args:
        name: The dataset's name.
        store: Where its manifests are.
        of_each_split: One for each split of a source, else one for each source: its files don't depend on splits.
    """
    prepared = times(name, store)
    keys = [key.removesuffix(".parquet") for key in store.names(FOLDER, ".parquet")]
    found = [Manifest(store, name, key) for key in keys if key.rpartition("-")[0] == name]
    last: dict[str, Manifest] = {}
    for manifest in sorted(found, key=lambda one: prepared.get(one.key) or one.provenance["created_at"]):
        facts = manifest.provenance
        # what was imported has no source, and nothing that replaces it
        source = _plain(facts["source"], store) if "source" in facts else manifest.key
        purpose = content_hash([source, facts.get("split") if of_each_split else None])
        last.pop(purpose, None)
        last[purpose] = manifest
    return list(last.values())


def _plain(values: Any, store: Store) -> Any:
    """A source as it was written down, in the one way of several in which it can be said: all options, no card."""
    try:
        source = _SOURCE.validate_python(values)
        own = own_card(source, store)
        if own is not None:
            return own.model_dump(mode="json", exclude={"groups"})
        _, options = resolve(source)  # type: ignore[arg-type]
    except (ValidationError, UsageError):  # of an earlier version, or its card is gone
        return values
    return {**source.model_dump(mode="json", exclude={"groups"}), "options": options.model_dump(mode="json")}
