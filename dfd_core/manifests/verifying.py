"""Reading a dataset's files again, to see that they are still the ones of its manifests."""

from __future__ import annotations

import contextlib
import hashlib

from dfd_core.datasets.acquire import is_there
from dfd_core.datasets.catalogue import DATASETS
from dfd_core.datasets.sources import CatalogueSource
from dfd_core.errors import ConfigError, DatasetError
from dfd_core.manifests.addresses import read_file
from dfd_core.manifests.manifest import Manifest
from dfd_core.manifests.side_by_side import side_by_side, threads_for
from dfd_core.manifests.standing import standing
from dfd_core.progress import Bytes, Progress
from dfd_core.storage import Store


class Volume(Bytes):
    """So many bytes in all, and how many of how many files are done."""

    files: tuple[int, int]

    def __new__(cls, size_bytes: int, done: int, total: int) -> Volume:
        """As `Bytes`, with the files beside them."""
        volume = super().__new__(cls, size_bytes)
        volume.files = done, total
        return volume

    def __str__(self) -> str:
        return f"{super().__str__()}, {self.files[0]:,} of {self.files[1]:,} files"


def verify_files(name: str, store: Store, progress: Progress | None = None) -> tuple[int, list[str]]:
    """Compares every file of a dataset with the digests of its manifests.

    A manifest outlives its files where a dataset was removed on purpose or prepared again after a change; such a one is
    passed over.

    Args:
        name: The dataset's name.
        store: Where its manifests are.
        progress: Called with how many bytes were read, and of what volume; may raise to stop.

    Returns:
        How many files were read, and a line for each that is missing or another one.

    Raises:
        DatasetError: The store has no manifest of it, or of none the files.
    """
    manifests = standing(name, store, of_each_split=False)
    if not manifests:
        raise DatasetError(f"There is no manifest of {name} in {store.url()}. Make it: `dfd datasets prepare {name}`.")
    there = [manifest for manifest in manifests if not _was_removed(manifest, store)]
    if not there:
        raise DatasetError(f"The files of {name} are not in {store.url()}. Get them: `dfd datasets prepare {name}`.")
    wanted: dict[str, tuple[str, int]] = {}
    for manifest in there:
        frame = manifest.frame[manifest.frame["format"].notna()]  # others hold no image, and have a made-up digest
        facts = zip(frame["sample_id"], frame["size_bytes"].astype(int), strict=True)
        wanted |= dict(zip(frame["url"], facts, strict=True))
    bad, read, volume = [], 0, sum(size for _, size in wanted.values())

    def tell(done: int) -> None:
        if progress is not None:
            progress(Bytes(read), Volume(volume, done, len(wanted)))

    tell(0)
    ids, done = [sample_id for sample_id, _ in wanted.values()], 0
    problems = side_by_side(_problem, list(wanted), ids, threads=threads_for(wanted), tick=lambda: tell(done))
    with contextlib.closing(problems):
        for done, (problem, (_, size)) in enumerate(zip(problems, wanted.values(), strict=True), start=1):
            bad += [] if problem is None else [problem]
            read += size
            tell(done)
    return len(wanted), bad


def _was_removed(manifest: Manifest, store: Store) -> bool:
    source = manifest.provenance.get("source")
    if not isinstance(source, dict) or source.get("catalogue") not in DATASETS:
        return False
    try:
        return not is_there(CatalogueSource.model_validate(source), store)
    except ConfigError:  # options of an earlier version
        return True


def _problem(url: str, sample_id: str) -> str | None:
    try:
        digest = hashlib.sha256(read_file(url)).hexdigest()
    except Exception as error:  # clients of buckets have errors of their own
        return f"{url}: {str(error) or type(error).__name__}"
    return None if digest == sample_id else f"{url}: SHA-256 {digest[:12]}... instead of {sample_id[:12]}..."
