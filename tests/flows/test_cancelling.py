"""Real runs that are stopped in the middle of an extraction, each in one of the ways in which people stop them."""

import contextlib
import functools
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from dfd_core.storage import Store
from tasks.artifacts import artifact_key

DFD = [sys.executable, "-c", "from flows.cli import main; main()"]
MESSAGE = "dfd: The run was cancelled. What is finished is kept; run the same command again to continue."
DEPLOYMENTS = Path(__file__).resolve().parent.parent.parent / "deployments"
WITHIN_S = 60
SLOWLY = ("none", "blur_sigma_1", "blur_sigma_2", "blur_sigma_3", "jpeg_q75")


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A folder of images whose spectrum takes long: a few seconds to each shard of four."""
    folder = tmp_path_factory.mktemp("slow")
    noise = np.random.default_rng(0).integers(0, 255, (2600, 2600, 3), dtype=np.uint8)
    written = io.BytesIO()
    Image.fromarray(noise).save(written, "JPEG", quality=10)
    for kind in ("real", "fake"):
        (folder / "images" / "gan1" / kind).mkdir(parents=True)
        for index in range(32):
            data = written.getvalue() + f"{kind} {index}".encode()  # past the end: other bytes, the same pixels
            (folder / "images" / "gan1" / kind / f"{index}.jpg").write_bytes(data)
    return folder


@pytest.fixture
def config(slow, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps(parameters(slow, tmp_path)))
    return path


@pytest.fixture
def worker(engine, tmp_path):
    """A worker of the pool of the deployment."""
    prefect(engine, "work-pool", "create", "dfd", "--type", "process", "--overwrite")
    prefect(engine, "deploy", "--all")
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "dfd"]
    environment = {**engine.environment, "PREFECT_API_URL": engine.api_url}
    with (
        (tmp_path / "worker.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as working,
    ):
        yield working
        working.kill()


def prefect(engine, *arguments):
    environment = {**engine.environment, "PREFECT_API_URL": engine.api_url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "--no-prompt", *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, cwd=DEPLOYMENTS, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def slower(slow, tmp_path):
    """A configuration whose extraction takes a minute."""
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps(parameters(slow, tmp_path, SLOWLY)))
    return path


def parameters(slow, tmp_path, augmentations=("none",)):
    return {
        "name": tmp_path.name,
        "store": str(tmp_path / "store"),
        "datasets": [{"name": "mine", "folders": str(slow / "images")}],
        "split": {"train": 0.5, "validation": 0, "test": 0.5},
        "augmentations": list(augmentations),
        "backbones": ["spectrum"],
        "extraction": {"shard_size": 2},
        "report": {"maps": False},
    }


def finished(tmp_path):
    files = (tmp_path / "store" / "features").rglob("spectrum-*/shard-*.parquet")  # not those of the files' metadata
    return {path: path.stat().st_mtime_ns for path in files}


def wait_until(condition, what, timeout_s=WITHIN_S):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError(f"{what} not within {timeout_s} s")


def runs_of(engine, name):
    """The newest runs of a name, the outermost first."""
    return engine.post("flow_runs/filter", sort="START_TIME_DESC", flow_runs={"name": {"like_": f" {name}"}})


def start(engine, config, step="run", *options):
    environment = {**engine.environment, "PREFECT_API_URL": engine.api_url}
    return subprocess.Popen(
        [*DFD, step, str(config), *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def actors_below(process):
    """The processes of the extraction actors that a run started."""
    below = psutil.Process(process.pid).children(recursive=True)
    return [one for one in below if "ExtractionActor" in " ".join(one.cmdline())]


def settled(engine, name):
    states = {run["name"]: run["state_type"] for run in runs_of(engine, name)}
    ids = [run["id"] for run in runs_of(engine, name)]
    tasks = engine.post("task_runs/filter", flow_runs={"id": {"any_": ids}})
    states.update({task["name"]: task["state_type"] for task in tasks})
    return states


def in_the_middle(started, tmp_path):
    wait_until(lambda: started.poll() is not None or finished(tmp_path), "a finished shard")
    assert started.poll() is None, started.stderr.read()


def gone_in_s(processes, since, within_s=10):
    while any(runs(one) for one in processes):
        assert time.monotonic() - since < within_s, processes
        time.sleep(0.1)
    return time.monotonic() - since


def runs(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # dead, and its parent does not know it yet
    except psutil.NoSuchProcess:
        return False


def see_cancelled(engine, started, tmp_path, stop):
    """Stops a run in the middle and looks at what is left of it."""
    in_the_middle(started, tmp_path)
    actors = actors_below(started)
    assert actors
    since = time.monotonic()
    stop()
    print(f"actors gone after {gone_in_s(actors, since):.1f} s")
    _, said = started.communicate(timeout=30)
    print(f"process gone after {time.monotonic() - since:.1f} s")
    assert started.returncode == 1, said
    assert said.splitlines()[-1] == MESSAGE, said
    assert "Traceback" not in said
    assert not [line for line in said.splitlines() if "ERROR" in line and "Cancelled" in line], said
    see_states(engine, tmp_path)
    see_the_last_table(engine, tmp_path, said)
    return said


def see_states(engine, tmp_path):
    name = tmp_path.name
    over = {"CANCELLED", "COMPLETED"}
    wanted = {f"run {name}", f"extract {name}", "extract features"}

    def over_and_cancelled():
        states = settled(engine, name)
        return set(states.values()) == over and wanted <= {one for one, state in states.items() if state == "CANCELLED"}

    with contextlib.suppress(AssertionError):  # the server writes down what became of tasks a little later
        wait_until(over_and_cancelled, "an end of everything", timeout_s=20)
    states = settled(engine, name)
    assert wanted <= {one for one, state in states.items() if state == "CANCELLED"}, states
    assert states["resolve spectrum"] == states["prepare mine"] == states[f"prepare {name}"] == "COMPLETED"
    assert set(states.values()) == over, states


def see_the_last_table(engine, tmp_path, said):
    """The dashboard says at last what the log does."""
    *_, last = re.findall(r"Extracted \d+ of \d+ images", said)
    key = artifact_key(tmp_path.name, "extraction")
    (table,) = engine.post("artifacts/filter", artifacts={"key": {"any_": [key]}})
    assert last in table["description"]


def see_it_completed(engine, config, tmp_path):
    before = finished(tmp_path)
    again = engine.dfd("extract", config)
    assert again.returncode == 0, again.stderr
    after = finished(tmp_path)
    assert before.items() <= after.items(), "a finished shard was computed again"
    assert len(before) < len(after) == 32
    assert (
        sum(Store(tmp_path / "store").read_table(str(p.relative_to(tmp_path / "store"))).num_rows for p in after) == 64
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_a_run_as_cancelled(engine, config, tmp_path, number):
    started = start(engine, config)
    tell = os.killpg if number == signal.SIGINT else os.kill  # a terminal tells the whole group
    stop = functools.partial(tell, started.pid, number)
    see_cancelled(engine, started, tmp_path, stop)
    if number == signal.SIGTERM:
        see_it_completed(engine, config, tmp_path)


def cancel_in_the_dashboard(engine, name):
    """What the button there sends."""
    run = next(run for run in runs_of(engine, name) if run["name"] == f"run {name}")
    engine.post(f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})


def test_a_run_of_a_terminal_is_cancelled_in_the_dashboard(engine, slower, tmp_path):
    started = start(engine, slower)
    see_cancelled(engine, started, tmp_path, lambda: cancel_in_the_dashboard(engine, tmp_path.name))


def test_a_run_of_a_worker_is_cancelled_in_the_dashboard(engine, slow, tmp_path, worker):
    prefect(
        engine, "deployment", "run", "run/weekly", "--param", f"config={json.dumps(parameters(slow, tmp_path, SLOWLY))}"
    )
    in_the_middle(worker, tmp_path)
    actors = actors_below(worker)
    assert actors
    since = time.monotonic()
    cancel_in_the_dashboard(engine, tmp_path.name)
    # Prefect's worker notices a cancellation by asking now and then, which on a busy machine takes most of the 10 s
    print(f"actors gone after {gone_in_s(actors, since, within_s=20):.1f} s")
    is_over = lambda: settled(engine, tmp_path.name)[f"run {tmp_path.name}"] == "CANCELLED"  # noqa: E731
    wait_until(is_over, "Cancelled")
    print(f"over after {time.monotonic() - since:.1f} s")
    time.sleep(2)
    see_states(engine, tmp_path)


def test_without_engines_a_signal_ends_the_process_with_a_word(engine, config, tmp_path):
    started = start(engine, config, "run", "--local")
    in_the_middle(started, tmp_path)
    started.send_signal(signal.SIGTERM)
    _, said = started.communicate(timeout=30)
    assert started.returncode == 1, said
    assert said.splitlines()[-1] == MESSAGE, said
    assert "Traceback" not in said
    before = finished(tmp_path)
    Store(tmp_path / "store").read_table(str(next(iter(before)).relative_to(tmp_path / "store")))


def test_a_run_whose_process_was_killed_is_crashed_at_the_next_start(engine, slower, tmp_path):
    started = start(engine, slower)
    in_the_middle(started, tmp_path)
    actors = actors_below(started)
    started.kill()
    started.communicate(timeout=30)
    print(f"actors gone after {gone_in_s(actors, time.monotonic()):.1f} s")
    assert settled(engine, tmp_path.name)[f"run {tmp_path.name}"] == "RUNNING"
    assert engine.dfd("prepare", slower).returncode == 0
    states = settled(engine, tmp_path.name)
    assert states[f"run {tmp_path.name}"] == "CRASHED"
    assert set(states.values()) == {"CRASHED", "COMPLETED"}
