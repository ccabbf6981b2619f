import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dfd_core.errors import RunCancelledError
from tasks import cancelling


@pytest.fixture(autouse=True)
def _fresh():
    cancelling.reset()
    yield
    cancelling.reset()


def test_a_checkpoint_raises_once_somebody_asked():
    cancelling.checkpoint()
    cancelling.request()
    assert cancelling.requested()
    with pytest.raises(RunCancelledError, match="What is finished is kept"):
        cancelling.checkpoint()
    cancelling.reset()
    cancelling.checkpoint()


def test_a_signal_is_a_request_and_the_earlier_handler_comes_back(capfd):
    before = signal.getsignal(signal.SIGTERM)
    with cancelling.guarded(lambda: None, (signal.SIGTERM,)):
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(RunCancelledError):
            cancelling.checkpoint()
    assert signal.getsignal(signal.SIGTERM) is before
    assert capfd.readouterr().err == cancelling.STOPPING


def run_deaf(waited_for):
    """Waits as whoever waits for a result does, without checkpoints."""
    with cancelling.guarded(lambda: None, ()):
        cancelling.request()
        waited_for.wait(60)


def test_work_without_checkpoints_is_interrupted_where_it_is(monkeypatch):
    monkeypatch.setattr(cancelling, "INTERRUPT_AFTER_S", 0.2)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_deaf(threading.Event())
    assert time.monotonic() - began < 30


def test_work_in_a_thread_of_a_pool_is_interrupted_too(monkeypatch):
    monkeypatch.setattr(cancelling, "INTERRUPT_AFTER_S", 0.2)
    ended, over = [], threading.Event()

    def hash_for_ever():
        try:
            with cancelling.interruptible():
                while True:
                    time.sleep(0.01)
        except KeyboardInterrupt as error:
            ended.append(type(error))
            over.set()

    threading.Thread(target=hash_for_ever, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_deaf(threading.Event())
    assert over.wait(30)
    assert ended == [cancelling.Interrupted]


ENDING = """
import re, signal, sys, threading, time
from tasks import cancelling
cancelling.END_AFTER_S = float(sys.argv[1])
with cancelling.guarded(lambda: print("told"), (signal.SIGINT,)):
    signal.pthread_sigmask(signal.SIG_BLOCK, {cancelling.INTERRUPT_SIGNAL})  # as deaf as work in a library can be
    print("ready", flush=True)
    while True:
        time.sleep(0.1)
"""


@pytest.mark.parametrize("twice", [True, False])
def test_a_second_signal_or_deaf_work_ends_the_process(twice):
    command = [
        sys.executable,
        "-c",
        ENDING,
        "600" if twice else "1",
    ]  # after 600 s only a second signal can have ended it
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        if twice:
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
        try:
            told, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1
    assert told == "told\n"
    assert said.splitlines()[-1] == f"dfd: {cancelling.MESSAGE}"


DEAF_TASK = """
import os, signal, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from tasks import cancelling
cancelling.INTERRUPT_AFTER_S, cancelling.END_AFTER_S, cancelling.CLEAN_UP_WITHIN_S = 0.3, 1.0, float(sys.argv[3])
wait_inside = sys.argv[2] == "in the run"

def task():
    with cancelling.interruptible():
        if sys.argv[1] == "cleaning up":
            while not cancelling.requested():
                time.sleep(0.01)
            try:
                cancelling.checkpoint()
            finally:
                print("cleaning up", flush=True)
                try:
                    time.sleep(2.0)
                except KeyboardInterrupt:
                    pass
                print("clean", flush=True)
        os.open(sys.argv[1], os.O_RDONLY)

pool = ThreadPoolExecutor(1)
try:
    with cancelling.guarded(lambda: print("told", flush=True), (signal.SIGTERM,)):
        future = pool.submit(task)
        print("ready", flush=True)
        try:
            future.result()
        finally:
            if wait_inside:
                pool.shutdown()
finally:
    pool.shutdown()
"""


@pytest.mark.parametrize("where", ["in the run", "after it"])
def test_a_task_that_hangs_in_the_system_does_not_hold_up_the_end(tmp_path, where):
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it, so to open it takes for ever
    command = [sys.executable, "-c", DEAF_TASK, str(tmp_path / "pipe"), where, "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        try:
            told, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 1
    assert told == "told\n"
    assert said.splitlines()[-1] == f"dfd: {cancelling.MESSAGE}"


@pytest.mark.parametrize("where", ["in the run", "after it"])
def test_a_task_that_heard_may_clean_up(where):
    command = [sys.executable, "-c", DEAF_TASK, "cleaning up", where, "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=60)
    assert told == "cleaning up\nclean\n"


def test_what_a_library_makes_of_an_interrupt_is_known_for_what_it_is():
    from tasks.run_states import _ended_on_request

    wrapped = SystemError("returned a result with an exception set")
    assert not _ended_on_request(wrapped)
    wrapped.__cause__ = cancelling.Interrupted()
    assert _ended_on_request(wrapped)
    cancelling.request()
    assert _ended_on_request(RuntimeError("the raylet is gone"))
