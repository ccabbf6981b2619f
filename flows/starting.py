"""What the commands of `dfd` do: with the engines, in this process alone, or only looking."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator

from dfd_core.config import RunConfig
from dfd_core.errors import ConfigError, DfdError, RunCancelledError
from dfd_core.storage import Store
from tasks.settings import EngineSettings, apply_defaults


def start(step: str, config: RunConfig, *, dry_run: bool, local: bool) -> None:
    """Carries out one step, or `run` for all, and prints what was made, its address last.

    Raises:
        RunCancelledError: By Ctrl-C or SIGTERM.
    """
    with stoppable():
        _start(step, config, dry_run=dry_run, local=local)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Work that Ctrl-C and SIGTERM end with a word, not with a traceback.

    Raises:
        RunCancelledError: One of them came.
    """
    from tasks import cancelling

    try:
        with cancelling.signals_interrupt():
            yield
    except KeyboardInterrupt:
        raise RunCancelledError(cancelling.MESSAGE) from None


def _start(step: str, config: RunConfig, *, dry_run: bool, local: bool) -> None:
    if dry_run:
        from dfd_core.survey import survey

        print(survey(config))
        print(config.store)
    elif local:
        _start_here(step, config)
    else:
        _start_flow(step, config)


def _start_flow(step: str, config: RunConfig) -> None:
    from tasks import server

    if Store(config.store).in_memory:
        raise ConfigError(
            f"The store {config.store} is in this process's memory, where no actor reaches it. Give a folder or a "
            "bucket, or add --local."
        )
    apply_defaults()
    log_plainly("dfd")
    log = logging.getLogger("dfd")
    found = server.find_or_start(EngineSettings.from_environment().server_port, log.info)
    log.info("%s at %s", "Started a Prefect server" if found.started else "Found a Prefect server", found.dashboard_url)
    os.environ["PREFECT_API_URL"] = found.api_url  # before Prefect is imported, which reads it then
    from flows import outcome

    _mark_gone(log)
    with _short_errors():
        run_id, (address, text) = outcome.of_flow(step, config)
    print(text)
    print(f"Dashboard: {found.dashboard_url}/runs/flow-run/{run_id}")
    print(address)


def _mark_gone(log: logging.Logger) -> None:
    from tasks import processes, run_states

    try:
        gone = processes.mark_gone()
    except run_states.UNREACHABLE as error:
        log.warning("Could not look for runs whose process is gone: %s", error)
        return
    if gone:
        log.info("Set %d unfinished runs to Crashed, because their processes are gone", gone)


def _start_here(step: str, config: RunConfig) -> None:
    from flows import outcome

    log_plainly("dfd_core")
    started = time.monotonic()
    address, text = outcome.of_step_here(step, config)
    logging.getLogger("dfd_core").info("%s took %.0f s", step, time.monotonic() - started)
    print(text)
    print(address)


def log_plainly(name: str) -> None:
    """Shows what a logger says on standard error, with the time of day."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s | %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)


@contextlib.contextmanager
def _short_errors() -> Iterator[None]:
    """Keeps tracebacks of errors that dfd raises on purpose out of the log: their message says it all.

    `DFD_DEBUG=1` shows them.
    """
    loggers = [logging.getLogger(name) for name in ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")]
    for logger in loggers:
        logger.addFilter(_without_traceback)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, DfdError) and not os.environ.get("DFD_DEBUG"):
        record.exc_info = None
    return True
