"""A local Prefect server: found, or started on SQLite and loopback, and left running so that its runs stay visible.

The ephemeral server that Prefect starts by itself loses records of task runs when its process ends, so dfd never
relies on it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
from filelock import FileLock, Timeout

from dfd_core.errors import EngineError
from tasks.settings import QUIET

HOST = "127.0.0.1"
PORTS_TRIED = 20
START_TIMEOUT_S = 180


class Server(NamedTuple):
    """A Prefect server that answers.

    Attributes:
        api_url: For `PREFECT_API_URL`.
        started: Whether it was started just now.
    """

    api_url: str
    started: bool

    @property
    def dashboard_url(self) -> str:
        """The address for a browser."""
        return self.api_url.removesuffix("/api")


def find_or_start(first_port: int, log: Callable[[str], None]) -> Server:
    """The server of `PREFECT_API_URL`, else a running local one, else a new one.

    Args:
        first_port: The first port to look at; up to 20 are tried.
        log: Called with a line on what happens.

    Raises:
        EngineError: The named server does not answer, a new one does not come up, or another start does not end.
    """
    home = _home()
    home.mkdir(parents=True, exist_ok=True)
    lock = home / "dfd-server.lock"
    try:
        with FileLock(lock, timeout=START_TIMEOUT_S):  # two starts at once make one server
            return find(first_port) or _start_on_a_free_port(first_port, log)
    except Timeout as error:
        raise EngineError(
            f"Another process has held {lock} for {START_TIMEOUT_S} s, as if it were still starting a Prefect server. "
            "Look at its log beside the lock, end that process if it hangs, and run the same command again."
        ) from error


def _start_on_a_free_port(first_port: int, log: Callable[[str], None]) -> Server:
    port = next((p for p in range(first_port, first_port + PORTS_TRIED) if _is_free(p)), None)
    if port is None:
        raise EngineError(f"No free port from {first_port} to {first_port + PORTS_TRIED - 1}; set DFD_SERVER_PORT.")
    return _start(port, log)


def find(first_port: int) -> Server | None:
    """The server of `PREFECT_API_URL`, else a local one, if one answers.

    Raises:
        EngineError: The named server does not answer.
    """
    named = os.environ.get("PREFECT_API_URL") or _of_the_profile()
    if named:
        if not is_prefect(named):
            raise EngineError(
                f"PREFECT_API_URL is {named}, where no Prefect server answers. Start it, or unset it (`unset "
                "PREFECT_API_URL`, `prefect config unset PREFECT_API_URL`) and dfd finds or starts a local one."
            )
        return Server(named.rstrip("/"), started=False)
    for port in range(first_port, first_port + PORTS_TRIED):
        api_url = f"http://{HOST}:{port}/api"
        if not _is_free(port) and is_prefect(api_url):
            return Server(api_url, started=False)
    return None


def stop() -> str | None:
    """Stops the server that dfd started.

    Returns:
        Its address, or `None` where none runs.

    Raises:
        EngineError: It does not stop.
    """
    try:
        record = json.loads(_record_path().read_text())
        pid, api_url = int(record["pid"]), str(record["api_url"])
    except (OSError, ValueError, KeyError):
        return None
    try:
        process = psutil.Process(pid)
        if "prefect" not in " ".join(process.cmdline()):
            raise psutil.NoSuchProcess(pid)
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        _record_path().unlink(missing_ok=True)
        return None
    for one in [*process.children(recursive=True), process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    _, alive = psutil.wait_procs([process], timeout=20)
    if alive:
        raise EngineError(f"The Prefect server of process {pid} does not stop. Its log is in {_home()}.")
    _record_path().unlink(missing_ok=True)
    return api_url


def is_prefect(api_url: str) -> bool:
    """Whether a Prefect server answers at an API address."""
    try:
        with urllib.request.urlopen(f"{api_url.rstrip('/')}/health", timeout=3) as answer:  # noqa: S310
            return answer.status == 200 and json.load(answer) is True
    except (OSError, http.client.HTTPException, ValueError):  # of other programs, which need not even speak HTTP
        return False


def _start(port: int, log: Callable[[str], None]) -> Server:
    api_url = f"http://{HOST}:{port}/api"
    log_path = _home() / "dfd-server.log"
    log(f"Starting a Prefect server on {HOST}:{port} (log: {log_path})")
    dashboard = {"PREFECT_SERVER_UI_API_URL": api_url}  # else its pages ask port 4200, whatever the server's own port
    environment = {**dashboard, **os.environ, **QUIET, "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    with log_path.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_prefect(api_url):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            last = "\n".join(log_path.read_text(errors="replace").splitlines()[-8:])
            raise EngineError(f"The Prefect server did not come up on {HOST}:{port}. Its log {log_path} ends:\n{last}")
        time.sleep(0.25)
    _record_path().write_text(json.dumps({"pid": process.pid, "api_url": api_url}) + "\n")
    return Server(api_url, started=True)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _of_the_profile() -> str | None:
    """What `prefect config set PREFECT_API_URL=...` said."""
    try:
        profiles = tomllib.loads((_home() / "profiles.toml").read_text())
        url = profiles["profiles"][os.environ.get("PREFECT_PROFILE") or profiles["active"]]["PREFECT_API_URL"]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError):
        return None
    return str(url)


def _home() -> Path:
    return Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()


def _record_path() -> Path:
    return _home() / "dfd-server.json"
