"""What stood at each place when it was read, in a store, so that a file that has not changed is not read again.

A place is an address with a size and a stamp (a checksum, or the time of the last change). Manifests and audits of a
dataset share this memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.manifests.listing import Files
from dfd_core.manifests.probing import Probe
from dfd_core.manifests.remembered import Remembered
from dfd_core.storage import Store

REVISION = 1
"""Grows whenever the same files give other rows."""
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("place", "sample_id")),
        ("size_bytes", pa.int64()),
        ("format", pa.string()),
        *((name, pa.int32()) for name in ("width", "height")),
    ]
)


def places_of(files: Files) -> list[str | None]:
    """What each file is recognised by without being read; `None` where its file system has no stamp."""
    facts = zip(files.stamps, files.sizes, files.urls, strict=True)
    return [f"{stamp} {size} {url}" if stamp else None for stamp, size, url in facts]


class Places:
    """The memory of one dataset.

    Args:
        store: Where it is.
        dataset: The dataset's name.
    """

    def __init__(self, store: Store, dataset: str) -> None:
        self.kept = Remembered(store, "places", dataset, _SCHEMA, REVISION)

    def known(self, places: Sequence[str | None]) -> dict[int, Probe]:
        """What was read before, by position in `places`; nothing is known of `None`.

        Raises:
            StoreError: The store can't be read.
        """
        table = self.kept.rows()
        found = pc.index_in(pa.array(places, pa.string()), value_set=table["place"])
        positions = pc.indices_nonzero(found.is_valid()).to_pylist()
        columns = table.select(list(Probe._fields)).take(found.drop_null()).columns
        return dict(zip(positions, map(Probe, *(column.to_pylist() for column in columns)), strict=True))

    def add(self, places: Sequence[str | None], probes: Sequence[Probe]) -> None:
        """Remembers what was read; of places that are `None`, nothing.

        Raises:
            StoreError: The store can't be written.
        """
        rows = [(place, *probe) for place, probe in zip(places, probes, strict=True) if place is not None]
        columns = zip(*rows, strict=True) if rows else [()] * len(_SCHEMA)
        self.kept.add(
            pa.table(
                [pa.array(values, field.type) for values, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA
            )
        )
