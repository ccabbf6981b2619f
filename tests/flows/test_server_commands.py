import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from tasks import server


def test_a_running_server_is_found_and_not_started_twice(engine):
    again = engine.dfd("server", "start")
    assert again.stdout.splitlines() == ["already running", engine.api_url.removesuffix("/api")]
    assert engine.dfd("server", "status").stdout.strip() == engine.api_url.removesuffix("/api")


def test_the_dashboards_pages_ask_this_server(engine):
    with urllib.request.urlopen(engine.api_url.removesuffix("/api") + "/ui-settings", timeout=30) as answer:
        assert json.load(answer)["api_url"] == engine.api_url


def test_it_listens_on_loopback_only(engine):
    import psutil

    port = int(engine.api_url.split(":")[2].split("/")[0])
    listening = {c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port}
    assert listening == {"127.0.0.1"}


def test_a_named_server_that_does_not_answer_is_an_error(engine):
    done = engine.dfd("run", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 1
    assert "PREFECT_API_URL is http://127.0.0.1:9/api, where no Prefect server answers" in done.stderr


def test_the_server_of_prefects_own_profile_is_used(engine, tmp_path):
    profile = 'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{}"\n'
    (tmp_path / "profiles.toml").write_text(profile.format(engine.api_url))
    done = engine.dfd("server", "status", DFD_SERVER_PORT="4790", PREFECT_HOME=str(tmp_path))
    assert done.stdout.strip() == engine.api_url.removesuffix("/api")
    (tmp_path / "profiles.toml").write_text(profile.format("http://127.0.0.1:9/api"))
    done = engine.dfd("server", "status", DFD_SERVER_PORT="4790", PREFECT_HOME=str(tmp_path))
    assert "no Prefect server answers" in done.stderr


def test_where_none_runs_the_status_says_how_to_start_one(engine, tmp_path):
    done = engine.dfd("server", "status", DFD_SERVER_PORT="4790", PREFECT_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "No Prefect server runs here" in done.stderr
    done = engine.dfd("server", "stop", DFD_SERVER_PORT="4790", PREFECT_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "no server that dfd started" in done.stderr


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\x00\x18\x04\x00\x00\x00\x00\x00\x00\x04\x00\x40\x00\x00\n",  # as gRPC, of which Ray has many ports
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ntrue",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"",
    ],
    ids=["another protocol", "cut short", "not found", "a page", "nothing"],
)
def test_something_else_on_the_port_is_not_taken_for_a_server(answer):
    def speak():
        with other.accept()[0] as visitor:
            visitor.recv(4096)
            visitor.sendall(answer)

    with socket.create_server((server.HOST, 0)) as other:
        port = other.getsockname()[1]
        speaker = threading.Thread(target=speak)
        speaker.start()
        assert not server._is_free(port)
        assert not server.is_prefect(f"http://{server.HOST}:{port}/api")
        speaker.join()


SCHEDULED = """
from prefect import flow

@flow
def tick():
    return 1

if __name__ == "__main__":
    tick.serve(name="often", interval=8, limit=1, print_starting_message=False)
"""


def test_a_schedule_fires(engine, tmp_path):
    """Versions of fastapi and sqlalchemy that pip would choose by itself break exactly this."""
    script = tmp_path / "scheduled.py"
    script.write_text(SCHEDULED)
    environment = {**engine.environment, "PREFECT_API_URL": engine.api_url}
    with subprocess.Popen(
        [sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    ) as serving:
        try:
            deadline = time.monotonic() + 90
            while time.monotonic() < deadline:
                runs = engine.post("flow_runs/filter", flows={"name": {"any_": ["tick"]}})
                if any(run["state_type"] == "COMPLETED" and run["auto_scheduled"] for run in runs):
                    return
                time.sleep(1)
        finally:
            os.killpg(serving.pid, signal.SIGKILL)
    raise AssertionError(f"no scheduled run completed: {[run['state_name'] for run in runs]}")
