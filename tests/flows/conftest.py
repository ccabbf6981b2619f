"""A Prefect server of this test session, with a home of its own, and the command line that uses it."""

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass

import pytest

DFD = [sys.executable, "-c", "from flows.cli import main; main()"]


@dataclass
class Engine:
    """The environment in which commands run, and the server's API."""

    environment: dict
    api_url: str = ""

    def dfd(self, *arguments, **more):
        """Runs `dfd` and gives what it printed."""
        environment = {**self.environment, **more}
        return subprocess.run(
            [*DFD, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    def post(self, path, **body):
        """What the server answers to a query."""
        request = urllib.request.Request(
            f"{self.api_url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def engine(tmp_path_factory, free_port):
    """A server that `dfd server start` started, stopped at the end."""
    home = tmp_path_factory.mktemp("prefect")
    kept = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    soon = {"DFD_TASK_RETRY_DELAY_S": "0", "DFD_OUTAGE_WAIT_S": "0.1"}
    engine = Engine({**kept, "PREFECT_HOME": str(home), "DFD_SERVER_PORT": str(free_port()), **soon})
    started = engine.dfd("server", "start")
    assert started.returncode == 0, started.stderr
    assert started.stdout.splitlines()[0] == "started"
    engine.api_url = started.stdout.splitlines()[-1] + "/api"
    yield engine
    stopped = engine.dfd("server", "stop")
    assert stopped.stdout.strip() == f"stopped {engine.api_url}", stopped.stderr
