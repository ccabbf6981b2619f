"""Checks `process_tree` on a tree whose CPU seconds are known: `python tests/benchmarks/check_process_tree.py`.

Each process burns CPU until its own clock says so, whatever else the machine does. The tree has a child, a grandchild,
a daemon that forked twice and outlives the command, and two children of a process that ignores SIGCHLD, of which one
dies before that process and one after it.
"""

from __future__ import annotations

import sys

from process_tree import measure_tree

TOLERANCE_S = 0.5
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
    fork(lambda: (time.sleep(0.5), burn(3.0)))

def outlive(parent):
    while os.getppid() == parent:
        time.sleep(0.1)

def ignoring():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    me = os.getpid()
    first = fork(lambda: (burn(2.0), time.sleep(1.0)))
    fork(lambda: (outlive(me), burn(1.0)))
    try:
        os.waitpid(first, 0)
    except ChildProcessError:
        pass  # it has ended, and its usage is lost

def child():
    os.waitpid(fork(lambda: burn(1.5)), 0)
    burn(0.5)

os.waitpid(fork(child), 0)
os.waitpid(fork(daemon), 0)
fork(ignoring)
print("burnt")
"""
BURNT_S = 1.5 + 0.5 + 3.0 + 2.0 + 1.0
UNREAPED_S = 2.0


def main() -> None:
    """Compares what was burnt with what was counted."""
    usage = measure_tree([sys.executable, "-c", TREE])
    idle_s = measure_tree([sys.executable, "-c", "pass"]).cpu_s
    counted_s = usage.cpu_s - idle_s
    print(f"burnt {BURNT_S} s, counted {counted_s:.2f} s, of them unreaped {usage.unreaped_cpu_s:.2f} s")
    if abs(counted_s - BURNT_S) > TOLERANCE_S or abs(usage.unreaped_cpu_s - UNREAPED_S) > 0.1 or usage.killed:
        sys.exit(f"wrong: {usage}")
    if usage.stdout != "burnt\n":
        sys.exit(f"The output is not the command's: {usage.stdout!r}")


if __name__ == "__main__":
    main()
