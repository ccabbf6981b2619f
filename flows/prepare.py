"""The flow that turns datasets into manifests."""

from __future__ import annotations

from prefect import flow

from dfd_core.config import RunConfig
from tasks.run_states import cancellable_flow
from tasks.steps import prepare_dataset


@flow(name="prepare", flow_run_name="prepare {config.name}")
@cancellable_flow
def prepare_flow(config: RunConfig) -> dict[str, str]:
    """Acquires every dataset and builds its manifest, side by side.

    Returns:
        The key of each dataset's manifest.
    """
    futures = {source.name: prepare_dataset.submit(config, source) for source in config.datasets}
    return {name: future.result() for name, future in futures.items()}
