"""Which process carries out a flow run, so that a run whose process was killed does not stay Running for ever."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from prefect import tags
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import CancelledRun, TerminationSignal
from prefect.states import Cancelled, Crashed

from dfd_core.errors import RunCancelledError
from tasks import cancelling
from tasks.run_states import UNREACHABLE, settle, settle_tasks

UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
TAG = re.compile(r"process-(\d+)-on-(.+)-([0-9a-f]{8})")
SLACK_S = 5.0


def process_tag() -> str:
    """This process, as a tag of its flow runs: its number, its machine's name, and a digest of what tells it apart."""
    host = re.sub(r"[^A-Za-z0-9.]+", "-", socket.gethostname())
    return f"process-{os.getpid()}-on-{host}-{_machine()}"


@contextmanager
def tagged() -> Iterator[None]:
    """Flow runs inside carry the tag of this process, and end as Cancelled where they were asked to stop.

    Raises:
        RunCancelledError: They were.
    """
    try:
        with tags(process_tag()):
            yield
    except (RunCancelledError, CancelledRun, KeyboardInterrupt, TerminationSignal) as error:
        with suppress(*UNREACHABLE):
            settle(FlowRunFilter(tags=FlowRunFilterTags(all_=[process_tag()])))
        raise RunCancelledError(cancelling.MESSAGE) from error


def mark_gone() -> int:
    """Sets the unfinished runs of processes of this machine that are gone to Crashed; those of others are left alone.

    Returns:
        How many there were.
    """
    with get_client(sync_client=True) as client:
        unfinished = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED)))
        gone = [run for run in client.read_flow_runs(flow_run_filter=unfinished) if _is_gone(run)]
        for run in gone:
            message = "Its process ended without a word: killed, out of memory, or the machine went down."
            state = Cancelled if run.state_type == StateType.CANCELLING else Crashed
            client.set_flow_run_state(run.id, state(message=message), force=True)
            settle_tasks(client, run.id, state(message=message))
    return len(gone)


def _is_gone(run: FlowRun) -> bool:
    found = [match for match in map(TAG.fullmatch, run.tags) if match and match[3] == _machine()]
    if not found or run.created is None:
        return False
    try:
        return bool(psutil.Process(int(found[0][1])).create_time() > run.created.timestamp() + SLACK_S)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False  # it is there, and somebody else's


def _machine() -> str:
    """Differs between hosts, and between containers of one host: a process number means nothing elsewhere."""
    facts = [socket.gethostname(), str(uuid.getnode())]
    with suppress(OSError):  # not every system has these
        facts.append(Path("/etc/machine-id").read_text())
    with suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:8]
