"""What Prefect's books say of a run that was cancelled, or whose process is gone.

Flows and tasks end in the state Cancelled however the request came: by a signal, or from the dashboard. Under a worker
SIGTERM is left to Prefect, which uses it for more than cancelling; it gets the right word here when it means that.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun, PrefectException, TerminationSignal
from prefect.states import Cancelled

from dfd_core.errors import RunCancelledError
from tasks import cancelling

POLL_S = 2.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
UNREACHABLE = (httpx.HTTPError, PrefectException, OSError)
NOT_SETTLED = frozenset(StateType) - {StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED}
FLOW_LOGGER = "prefect.flow_runs"
P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("dfd")

_runs: list[UUID] = []
"""The flow runs of this process since the outermost began, that one first."""


def cancellable_task(function: Callable[P, R]) -> Callable[P, R]:
    """A task's function that gives the state Cancelled when the run is to stop."""

    def carried_out(*args: P.args, **kwargs: P.kwargs) -> R:
        with cancelling.interruptible():
            cancelling.checkpoint()
            return function(*args, **kwargs)

    return _ending_as_cancelled(function, carried_out)


def cancellable_flow(function: Callable[P, R]) -> Callable[P, R]:
    """A flow's function that gives the state Cancelled when the run is to stop; the outermost one looks out for that.

    The function may ignore a task that came back cancelled: the flow is asked once more when it is done.
    """

    def carried_out(*args: P.args, **kwargs: P.kwargs) -> R:
        cancelling.checkpoint()
        made = function(*args, **kwargs)
        cancelling.checkpoint()
        return made

    inner = _ending_as_cancelled(function, carried_out)

    def watched(*args: P.args, **kwargs: P.kwargs) -> R:
        with _watched():
            return inner(*args, **kwargs)

    return _like(function, watched)


def _plainly(record: logging.LogRecord) -> bool:
    """Prefect logs every end but Completed as an error, and tells a flow's error twice.

    To be cancelled is what somebody wanted, and why a flow failed stands in the line before.
    """
    text = record.getMessage()
    if text.startswith("Finished in state Cancelled"):
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
    elif text.startswith("Finished in state Failed(") and record.name == FLOW_LOGGER:
        record.msg, record.args = "Finished in state Failed", ()
    return True


for _name in (FLOW_LOGGER, "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_plainly)


def settle(runs: FlowRunFilter) -> None:
    """Sets flow runs, and their task runs, to Cancelled where they are unfinished or crashed on the way out."""
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=runs):
            if run.state_type in NOT_SETTLED:
                client.set_flow_run_state(run.id, Cancelled(message=cancelling.MESSAGE), force=True)
            if run.state_type in NOT_SETTLED | {StateType.CANCELLED}:
                settle_tasks(client, run.id, Cancelled(message=cancelling.MESSAGE))


def settle_tasks(client: SyncPrefectClient, run_id: UUID, state: State[Any]) -> None:
    """Gives a state to those task runs of a flow run that are unfinished or crashed."""
    for task_run in client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])), task_run_filter=TaskRunFilter()
    ):
        if task_run.state_type in NOT_SETTLED:
            client.set_task_run_state(task_run.id, state.model_copy(), force=True)


def _ending_as_cancelled(function: Callable[P, R], carried_out: Callable[P, R]) -> Callable[P, R]:
    def ending(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return carried_out(*args, **kwargs)
        except (Exception, KeyboardInterrupt, TerminationSignal) as error:
            if not _ended_on_request(error):
                raise
            cancelling.request()
        if _has_a_runner() and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the runner's, which may come while the run is ending
        return cast("R", Cancelled(message=cancelling.MESSAGE))

    return _like(function, ending)


def _ended_on_request(error: BaseException) -> bool:
    """Whether an error only says that the run was to stop.

    Ray turns what a signal raises inside of it into another error, and breaks when its processes got the signal too.
    """
    known = (RunCancelledError, CancelledRun, cancelling.Interrupted)
    causes = list(_causes(error))
    if any(isinstance(cause, known) for cause in causes):
        return True
    if cancelling.requested():
        logger.info("While the run was stopping: %s: %s", type(error).__name__, error)
        return True
    # SIGTERM to a worker may as well mean that the machine is taken away: then Prefect decides what becomes of the run
    return any(isinstance(cause, TerminationSignal) for cause in causes) and _being_cancelled()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _like(function: Callable[P, R], other: Callable[P, R]) -> Callable[P, R]:
    functools.update_wrapper(other, function)
    other.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    return other


@contextmanager
def _watched() -> Iterator[None]:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield
        return
    global _runs  # noqa: PLW0603
    outermost = not _runs
    _runs.append(context.flow_run.id)
    signals = () if _has_a_runner() else STOP_SIGNALS
    if outermost:
        cancelling.reset()
    try:
        if not outermost:
            with cancelling.signals_as_requests(signals):  # each flow's engine puts Prefect's handler there first
                yield
        else:
            with cancelling.guarded(functools.partial(_settle_all, _runs), signals), _asking_the_server():
                yield
    finally:
        if outermost:
            _runs = []  # a new list: the guard may still have to settle those of the old


@contextmanager
def _asking_the_server() -> Iterator[None]:
    """A thread that sees when one of the runs is cancelled in the dashboard."""
    over = threading.Event()
    run = contextvars.copy_context().run  # the thread shall talk to the same server
    threading.Thread(target=run, args=(_ask, over), name="dfd-run-state", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _ask(over: threading.Event) -> None:
    with get_client(sync_client=True) as client:
        while not over.wait(POLL_S):
            with suppress(*UNREACHABLE):  # it is asked again
                if _any_cancelled(client, _runs[:]) and not over.is_set():
                    cancelling.request()


def _any_cancelled(client: SyncPrefectClient, runs: Sequence[UUID]) -> bool:
    if not runs:
        return False
    found = client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=list(runs))))
    return any(run.state_type in (StateType.CANCELLING, StateType.CANCELLED) for run in found)


def _being_cancelled() -> bool:
    try:
        with get_client(sync_client=True) as client:
            return _any_cancelled(client, _runs)
    except UNREACHABLE:
        return False


def _has_a_runner() -> bool:
    """Whether a worker of Prefect's started this process, and ends it."""
    return bool(os.environ.get("PREFECT__FLOW_RUN_ID"))


def _settle_all(runs: Sequence[UUID]) -> None:
    with suppress(*UNREACHABLE):  # the process ends in any case
        settle(FlowRunFilter(id=FlowRunFilterId(any_=list(runs))))
