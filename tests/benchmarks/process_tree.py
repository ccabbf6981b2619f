"""What a command costs with everything it starts: wall and CPU seconds, and memory.

`measure_tree` starts this file as a process of its own, which becomes the reaper of all orphans below it
(PR_SET_CHILD_SUBREAPER). It runs the command and waits until nothing is left, so the kernel's sum over waited-for
children holds every process of the tree, daemons too. One kind escapes that sum: children of a process that ignores
SIGCHLD, as Ray's raylet does, are waited for by nobody. Those are watched in /proc and added with the CPU time that was
last seen. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOOK_EVERY_S = 0.25
WEIGH_EVERY_S = 5.0
LEFTOVERS_END_WITHIN_S = 15.0
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What a tree of processes used.

    Attributes:
        wall_s: From the command's start to its own end.
        cpu_s: User and system seconds of the whole tree until its last process is gone.
        peak_rss_bytes: The largest memory of the tree that was seen, every five seconds; a page that k processes share
            counts 1/k in each.
        stdout: What the command wrote.
        unreaped_cpu_s: The part of `cpu_s` that nobody waited for and that was read from /proc.
        killed: Processes that were still there long after the command's end and were killed.
    """

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    stdout: str
    unreaped_cpu_s: float = 0.0
    killed: int = 0


def measure_tree(command: Sequence[str], env: Mapping[str, str] | None = None, timeout_s: float = 3600.0) -> Usage:
    """Runs a command to its end and counts what it and all its descendants used.

    Args:
        command: The program and its arguments.
        env: The whole environment; this process's by default.
        timeout_s: After this long the whole tree is killed.

    Raises:
        RuntimeError: The command failed; the message holds the end of what it said.
        TimeoutError: It took too long.
    """
    with tempfile.TemporaryDirectory(prefix="process-tree-") as folder:
        report, out, err = (Path(folder) / name for name in ("report.json", "out", "err"))
        with out.open("wb") as out_file, err.open("wb") as err_file:
            reaper = subprocess.Popen(
                [sys.executable, "-I", __file__, str(report), *command],
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                start_new_session=True,
            )
            try:
                reaper.wait(timeout_s)
            except subprocess.TimeoutExpired:
                raise TimeoutError(f"Not done after {timeout_s:.0f} s: {' '.join(command)}") from None
            finally:
                if reaper.poll() is None:
                    reaper.terminate()  # it ends its tree first
                    reaper.wait()
        said, complained = (path.read_text(errors="replace") for path in (out, err))
        if not report.exists():
            raise RuntimeError(f"The measuring of {' '.join(command)} broke off:\n{complained[-3000:]}")
        found = json.loads(report.read_text())
        if status := found.pop("status"):
            raise RuntimeError(f"{' '.join(command)} ended with {status}:\n{said[-1000:]}\n{complained[-3000:]}")
        return Usage(**found, stdout=said)


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    started: int
    ticks: int
    """Its own and those of the children it waited for."""


@dataclass
class _Watch:
    """What is seen of the tree while it lives."""

    root: int
    ended_at: float | None = None
    peak_bytes: int = 0
    killed: set[int] = field(default_factory=set)
    reaped: set[int] = field(default_factory=set)
    unreaped: dict[tuple[int, int], int] = field(default_factory=dict)
    """Ticks of processes that their parent will not wait for, by pid and start."""

    def look(self) -> None:
        """Notes the CPU time of those whose parent ignores their end."""
        tree = self._tree()
        ignoring = {pid for pid in {process.parent for process in tree} if _ignores_children(pid)}
        for process in tree:
            key = process.pid, process.started
            if process.parent in ignoring:
                self.unreaped[key] = process.ticks
            else:
                self.unreaped.pop(key, None)

    def weigh(self) -> None:
        """Notes the memory."""
        self.peak_bytes = max(self.peak_bytes, sum(_memory_bytes(process.pid) for process in self._tree()))

    def end_leftovers(self) -> None:
        """Kills whatever lives."""
        for process in self._tree():
            self.killed.add(process.pid)
            _kill(process.pid)

    def unreaped_s(self) -> float:
        """CPU seconds of the processes that vanished without being waited for."""
        return sum(ticks for (pid, _), ticks in self.unreaped.items() if pid not in self.reaped) / _TICKS_PER_S

    def _tree(self) -> list[_Process]:
        below: dict[int, list[_Process]] = {}
        for process in _all_processes():
            below.setdefault(process.parent, []).append(process)
        tree, parents = [], [self.root]
        while parents:
            children = below.get(parents.pop(), [])
            tree += children
            parents += [child.pid for child in children]
        return tree


def _all_processes() -> list[_Process]:
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is needed, four times a second
        if name.isdigit() and (text := _read(f"/proc/{name}/stat")):
            fields = text.rpartition(")")[2].split()  # the command's name before it may hold anything
            found.append(_Process(int(name), int(fields[1]), int(fields[19]), sum(map(int, fields[11:15]))))
    return found


def _ignores_children(pid: int) -> bool:
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("SigIgn:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)
    return False


def _memory_bytes(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: str) -> str:
    try:
        with open(path, errors="replace") as file:  # noqa: PTH123 - many times a second
            return file.read()
    except OSError:
        return ""  # it is gone


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _keep_watch(watch: _Watch, done: threading.Event) -> None:
    next_weighing = time.monotonic() + 1
    while not done.wait(LOOK_EVERY_S):
        watch.look()
        now = time.monotonic()
        if watch.ended_at is None and now >= next_weighing:
            watch.weigh()
            next_weighing = now + WEIGH_EVERY_S
        if watch.ended_at is not None and now > watch.ended_at + LEFTOVERS_END_WITHIN_S:
            watch.end_leftovers()


def _reap(report: Path, command: Sequence[str]) -> None:
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "This kernel has no subreapers")
    watch, done, status, wall_s = _Watch(os.getpid()), threading.Event(), 0, 0.0

    def give_up(_number: int, _frame: object) -> None:
        with contextlib.suppress(ChildProcessError):  # until nobody is left: the orphans of the killed come here too
            while True:
                watch.end_leftovers()
                os.waitpid(-1, 0)
        os._exit(1)

    signal.signal(signal.SIGTERM, give_up)
    kernel.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)  # nothing stays behind whoever measures
    started = time.perf_counter()
    child = subprocess.Popen(command).pid
    threading.Thread(target=_keep_watch, args=(watch, done), daemon=True).start()
    while True:
        try:
            pid, code = os.waitpid(-1, 0)
        except ChildProcessError:
            break  # nobody is left
        watch.reaped.add(pid)
        if pid == child:
            wall_s, status = time.perf_counter() - started, os.waitstatus_to_exitcode(code)
            watch.ended_at = time.monotonic()
    done.set()
    used, unreaped_s = resource.getrusage(resource.RUSAGE_CHILDREN), watch.unreaped_s()
    found = {
        "status": status,
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime + unreaped_s,
        "peak_rss_bytes": watch.peak_bytes,
        "unreaped_cpu_s": unreaped_s,
        "killed": len(watch.killed),
    }
    report.write_text(json.dumps(found))


if __name__ == "__main__":
    _reap(Path(sys.argv[1]), sys.argv[2:])
