"""The flow that downloads archives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import flow
from prefect.futures import wait
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from dfd_core.config import RunConfig
from dfd_core.datasets.cards import Archive
from tasks.acquiring import download_archive
from tasks.run_states import cancellable_flow

AT_ONCE = 3
"""Archives; each is fetched in several parts at a time."""
_few: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=AT_ONCE)


@flow(name="download", flow_run_name="download {config.name}", task_runner=_few)
@cancellable_flow
def download_flow(config: RunConfig, archives: Sequence[Archive]) -> None:
    """Fetches archives into the store, a few at a time, each with retries of its own; one that fails ends no other.

    Args:
        config: The run.
        archives: Those that are not there.
    """
    futures = [download_archive.submit(config, archive) for archive in archives]
    wait(futures)
    for future in futures:
        future.result()
