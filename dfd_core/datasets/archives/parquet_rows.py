"""Images in the rows of a Parquet file, as the hub keeps them, read like an archive."""

from __future__ import annotations

import bisect
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from dfd_core.datasets.archives.containers import Container, Member
from dfd_core.datasets.archives.gate import Limits
from dfd_core.datasets.cards import Rows

_BATCH = 64
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class ParquetContainer(Container):
    """A Parquet file with a column of images; what names them is read first, without the images."""

    def __init__(self, name: str, file: BinaryIO, limits: Limits, rows: Rows) -> None:
        super().__init__(name, file, limits)
        self.rows = rows
        try:
            self.parquet = pq.ParquetFile(file, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(error) from error
        groups = range(self.parquet.num_row_groups)
        sizes = [self.parquet.metadata.row_group(i).num_rows for i in groups]
        self.starts = list(itertools.accumulate([0, *sizes]))
        missing = {rows.image, *rows.columns} - set(self.parquet.schema_arrow.names)
        if missing:
            raise self.damaged(ValueError(f"it lacks the columns {sorted(missing)}"))

    def members(self) -> list[Member]:
        """See `Container`; a size of 0 says that it is not known yet, the ending `.img` stands for the format."""
        found = []
        try:
            table = self.parquet.read(columns=self.rows.columns, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(error) from error
        for number, row in enumerate(table.to_pylist()):
            # no gate: these paths are made here, of harmless words and a number
            words = {key: _UNSAFE.sub("_", str(value)).strip(".") or "none" for key, value in row.items()}
            found.append(Member(f"{self.rows.path.format(**words)}/{number:06d}.img", 0, str(number), False))
        return found

    def piece_of(self, member: Member) -> int:
        """See `Container`: its row group."""
        return bisect.bisect_right(self.starts, int(member.name)) - 1

    def read(self, members: Sequence[Member]) -> Iterator[tuple[Member, bytes]]:
        """See `Container`; row groups without a wanted row are not read."""
        wanted = {int(member.name): member for member in members}
        groups: dict[int, list[int]] = defaultdict(list)
        for number in sorted(wanted):
            groups[self.piece_of(wanted[number])].append(number)
        for group, numbers in groups.items():
            at, left = self.starts[group], set(numbers)
            try:
                for batch in self.parquet.iter_batches(_BATCH, [group], [self.rows.image], use_threads=False):
                    for i in sorted(number - at for number in left if at <= number < at + batch.num_rows):
                        yield wanted[at + i], _bytes(batch.column(0)[i].as_py())
                    at += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                raise self.damaged(error) from error


def _bytes(value: Any) -> bytes:
    data = value.get("bytes") if isinstance(value, dict) else value
    return bytes(data) if data else b""


def suffix_of(data: bytes) -> str:
    """The ending of an image's name by its first bytes."""
    if data[:4] == b"\x89PNG":
        return ".png"
    if data[:3] == b"\xff\xd8\xff":
        return ".jpg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return {b"GIF8": ".gif", b"II*\0": ".tif", b"MM\0*": ".tif"}.get(data[:4], ".bmp" if data[:2] == b"BM" else ".img")
