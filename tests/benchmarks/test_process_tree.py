"""All figures of whole trees of processes rest on `process_tree`: here it measures a tree whose CPU seconds are known.

Each process burns CPU until its own clock says so, whatever else the machine does. The tree has a child, a grandchild,
a daemon that forked twice and outlives the command, and two children of a process that ignores SIGCHLD, of which one
dies before that process and one after it.
"""

import sys
from pathlib import Path

import pytest

TREE = """
import os, signal, subprocess, sys, time

def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass

def fork(work):
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    return pid

def daemon():
    os.setsid()
    fork(lambda: (time.sleep(0.5), burn(0.6)))

def outlive(parent):
    while os.getppid() == parent:
        time.sleep(0.1)

def ignoring():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    me = os.getpid()
    first = fork(lambda: (burn(0.4), time.sleep(2.0)))
    fork(lambda: (outlive(me), burn(0.2)))
    try:
        os.waitpid(first, 0)
    except ChildProcessError:
        pass  # it has ended, and its usage is lost

def child():
    os.waitpid(fork(lambda: burn(0.3)), 0)
    burn(0.1)

os.waitpid(fork(child), 0)
os.waitpid(fork(daemon), 0)
fork(ignoring)
print("burnt")
"""
BURNT_S = 0.3 + 0.1 + 0.6 + 0.4 + 0.2
UNREAPED_S = 0.4


@pytest.fixture
def measure_tree(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)  # the benchmarks are scripts and import each other from there
    from process_tree import measure_tree

    return measure_tree


def test_every_process_of_a_tree_is_counted(measure_tree):
    usage = measure_tree([sys.executable, "-c", TREE])
    idle_s = measure_tree([sys.executable, "-c", "pass"]).cpu_s
    assert usage.stdout == "burnt\n"
    assert not usage.killed
    assert usage.cpu_s - idle_s == pytest.approx(BURNT_S, abs=0.3)
    assert usage.unreaped_cpu_s == pytest.approx(UNREAPED_S, abs=0.1)


def test_a_command_that_fails_is_an_error_with_what_it_said(measure_tree):
    with pytest.raises(RuntimeError, match=r"ended with 3:\nthis\n\nthat"):
        measure_tree([sys.executable, "-c", "import sys; print('this'); print('that', file=sys.stderr); sys.exit(3)"])
