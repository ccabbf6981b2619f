"""The flow that turns datasets into manifests."""

from __future__ import annotations

from prefect import flow

from dfd_core.config import RunConfig
from dfd_core.datasets.acquire import needs_fetching
from dfd_core.datasets.cards import Archive
from dfd_core.storage import Store
from flows.download import download_flow
from tasks.acquiring import missing_archives
from tasks.run_states import cancellable_flow
from tasks.steps import prepare_dataset


@flow(name="prepare", flow_run_name="prepare {config.name}")
@cancellable_flow
def prepare_flow(config: RunConfig) -> dict[str, str]:
    """Downloads what is missing, then unpacks every dataset and builds its manifest, side by side.

    Returns:
        The key of each dataset's manifest.
    """
    archives = find_archives(config)
    if archives:
        download_flow(config, archives)
    futures = {source.name: prepare_dataset.submit(config, source) for source in config.datasets}
    return {name: future.result() for name, future in futures.items()}


def find_archives(config: RunConfig) -> list[Archive]:
    """The archives to be fetched; those that datasets share once."""
    store = Store(config.store)
    futures = [missing_archives.submit(config, source) for source in config.datasets if needs_fetching(source, store)]
    found = [archive for future in futures for archive in future.result()]
    return list({archive.parts: archive for archive in found}.values())
