"""The tasks that fetch archives of published datasets: what is missing, and a task for each archive."""

from __future__ import annotations

import time

from prefect import get_run_logger, task

from dfd_core.config import RunConfig
from dfd_core.datasets import beforehand, shelf
from dfd_core.datasets.acquire import resolve
from dfd_core.datasets.cards import Archive
from dfd_core.datasets.options import PublishedOptions
from dfd_core.datasets.sources import CatalogueSource
from dfd_core.progress import Bytes
from dfd_core.storage import Store
from dfd_core.wording import duration
from tasks import cancelling
from tasks.progress import CountProgress
from tasks.retries import task_options
from tasks.run_states import cancellable_task


@task(**task_options(), task_run_name="look up {source.name}")
@cancellable_task
def missing_archives(config: RunConfig, source: CatalogueSource) -> list[Archive]:
    """The archives of a dataset that are to be fetched whole."""
    card, options = resolve(source)
    assert isinstance(options, PublishedOptions)
    return beforehand.to_fetch(card, options, Store(config.store))


@task(**task_options(), task_run_name="download {archive.name}")
@cancellable_task
def download_archive(config: RunConfig, archive: Archive) -> None:
    """Fetches one archive into the store; what earlier attempts fetched is kept."""
    logger, started = get_run_logger(), time.monotonic()
    with CountProgress(f"archive {archive.name}", "bytes", logger) as progress:
        paths = shelf.fetch_archive(
            archive, Store(config.store), progress=progress.update, checkpoint=cancelling.checkpoint
        )
    size = Bytes(sum(path.stat().st_size for path in paths))
    logger.info("archive %s: %s are there after %s", archive.name, size, duration(time.monotonic() - started))
