"""Which faults a Prefect task tries again: those that may pass by themselves."""

from __future__ import annotations

from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from dfd_core.errors import (
    EngineError,
    NoRoomError,
    PlaceUnreachableError,
    RunCancelledError,
    StoreError,
    StoreFullError,
    StoreRefusedError,
    UnreachableError,
    UsageError,
    WeightsUnreachableError,
)
from tasks import cancelling
from tasks.settings import EngineSettings


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether another attempt makes sense.

    Something out of reach may come back; a wrong input, or a disk that is full or read-only, never.
    """
    error = state.result(raise_on_failure=False)
    if (
        cancelling.requested()
        or isinstance(error, StoreFullError | StoreRefusedError | NoRoomError | UsageError | RunCancelledError)
        or isinstance(error.__cause__, FileNotFoundError | PermissionError)
    ):
        return False
    away = PlaceUnreachableError | UnreachableError | WeightsUnreachableError
    return isinstance(error, away | StoreError | EngineError | OSError)


def task_options() -> dict[str, Any]:
    """Options of every task. Prefect's own caching is off: what is done is known by the artefact's key in the store."""
    settings = EngineSettings.from_environment()
    delay = settings.task_retry_delay_s
    return {
        "retries": settings.task_retries,
        "retry_delay_seconds": [delay * 2**attempt for attempt in range(settings.task_retries)],
        "retry_condition_fn": may_pass,
        "cache_policy": NO_CACHE,
        "persist_result": False,
    }
