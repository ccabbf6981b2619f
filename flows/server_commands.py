"""`dfd server status|start|stop`: the local Prefect server that keeps the runs."""

from __future__ import annotations

import sys

import typer

from dfd_core.errors import EngineError
from tasks import server
from tasks.settings import EngineSettings

app = typer.Typer(
    help="Start, find and stop the local Prefect server.",
    epilog="Example: dfd server status",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command(epilog="Example: dfd server start")
def start() -> None:
    """Finds the local server, or starts one.

    It listens on loopback, keeps its runs in SQLite, and goes on running.
    """
    found = server.find_or_start(
        EngineSettings.from_environment().server_port, lambda line: print(line, file=sys.stderr)
    )
    print("started" if found.started else "already running")
    print(found.dashboard_url)


@app.command(epilog="Example: dfd server status")
def status() -> None:
    """Prints the server's address."""
    found = server.find(EngineSettings.from_environment().server_port)
    if found is None:
        raise EngineError("No Prefect server runs here. `dfd server start` starts one, and so does any run.")
    print(found.dashboard_url)


@app.command(epilog="Example: dfd server stop")
def stop() -> None:
    """Stops the server that dfd started; its database keeps the runs."""
    stopped = server.stop()
    if stopped is None:
        raise EngineError("There is no server that dfd started. One that was started otherwise is left alone.")
    print(f"stopped {stopped}")
