"""Reading a dataset's files again, to see that they are still the ones of its manifests."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

from dfd_core.datasets.acquire import is_acquired
from dfd_core.datasets.cards import Progress
from dfd_core.datasets.catalogue import DATASETS
from dfd_core.datasets.sources import CatalogueSource
from dfd_core.errors import ConfigError, DatasetError, ManifestError
from dfd_core.manifests.listing import open_url
from dfd_core.manifests.manifest import FOLDER, Manifest
from dfd_core.storage import Store

_THREADS = 8


def verify_files(name: str, store: Store, progress: Progress | None = None) -> tuple[int, list[str]]:
    """Compares every file of a dataset with the digests of its manifests.

    A manifest outlives its files where a dataset was removed on purpose; such a one is passed over.

    Args:
        name: The dataset's name.
        store: Where its manifests are.
        progress: Told how many files were read, and of how many.

    Returns:
        How many files were read, and a line for each that is missing or another one.

    Raises:
        DatasetError: The store has no manifest of it, or of none the files.
    """
    keys = [key.removesuffix(".parquet") for key in store.names(FOLDER, ".parquet")]
    manifests = [Manifest(store, name, key) for key in keys if key.rpartition("-")[0] == name]
    if not manifests:
        raise DatasetError(f"There is no manifest of {name} in {store.url()}. Make it: `dfd datasets prepare {name}`.")
    there = [manifest for manifest in manifests if not _was_removed(manifest, store)]
    if not there:
        raise DatasetError(f"The files of {name} are not in {store.url()}. Get them: `dfd datasets prepare {name}`.")
    wanted: dict[str, str] = {}
    for manifest in there:
        frame = manifest.frame[
            manifest.frame["format"].notna()
        ]  # others hold no image, and a made-up digest may be theirs
        wanted |= dict(zip(frame["url"], frame["sample_id"], strict=True))
    bad = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for done, problem in enumerate(pool.map(_problem, wanted, wanted.values()), start=1):
            if problem is not None:
                bad.append(problem)
            if progress is not None:
                progress(done, len(wanted))
    return len(wanted), bad


def _was_removed(manifest: Manifest, store: Store) -> bool:
    source = manifest.provenance.get("source")
    if not isinstance(source, dict) or source.get("catalogue") not in DATASETS:
        return False
    try:
        return not is_acquired(CatalogueSource.model_validate(source), store)
    except ConfigError:  # options of an earlier version
        return True


def _problem(url: str, sample_id: str) -> str | None:
    try:
        fs, path = open_url(url)
        digest = hashlib.sha256(fs.cat_file(path)).hexdigest()
    except (OSError, ManifestError) as error:
        return f"{url}: {error}"
    return None if digest == sample_id else f"{url}: SHA-256 {digest[:12]}... instead of {sample_id[:12]}..."
