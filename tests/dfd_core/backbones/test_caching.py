"""What a cache holds after processes that end well, fail, wait for each other or are killed."""

import os
import subprocess
import sys
import time

import pytest

from dfd_core.backbones.caching import whole_or_absent

WRITER = """
import sys, time
from pathlib import Path
from dfd_core.backbones.caching import whole_or_absent
with whole_or_absent(Path(sys.argv[1])) as partial:
    partial.mkdir()
    (partial / "half").write_bytes(b"1")
    print(partial, flush=True)
    time.sleep(600)
"""


def write(target, content="whole"):
    with whole_or_absent(target) as partial:
        partial.mkdir()
        (partial / "content").write_text(content)


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".writing-"))


@pytest.fixture
def writer(tmp_path):
    """A process that is writing `network`, and the folder that it writes to."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "network")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip() == str(tmp_path / ".partial-network")
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("next_one", ["network", "other"])
def test_what_a_killed_process_left_goes_when_the_next_one_writes(writer, tmp_path, next_one):
    write(tmp_path / "beside")
    assert visible(tmp_path) == [".partial-network", "beside"]  # it is still being written
    writer.kill()
    writer.wait()
    assert visible(tmp_path) == [".partial-network", "beside"]
    write(tmp_path / next_one)
    assert visible(tmp_path) == sorted(["beside", next_one])


def test_what_has_no_lock_stays_for_a_day(tmp_path):
    """As a version before this one left it: a folder and a file."""
    now = time.time()
    for name, age_s in (("old", 90_000), ("young", 80_000)):
        folder, file = tmp_path / f".partial-{name}", tmp_path / f".partial-{name}-file"
        folder.mkdir()
        (folder / "model.bin").write_bytes(b"1")
        file.write_bytes(b"1")
        for path in (folder, file):
            os.utime(path, (now - age_s, now - age_s))
    write(tmp_path / "network")
    assert visible(tmp_path) == [".partial-young", ".partial-young-file", "network"]


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path):
    target = tmp_path / "file"
    with whole_or_absent(target) as partial:
        partial.write_text("first")
    with pytest.raises(TypeError), whole_or_absent(target) as partial:
        partial.write_text("second") + "no number"
    assert target.read_text() == "first"
    with whole_or_absent(target):
        pass  # nothing is written where it is there already
    assert target.read_text() == "first"
    assert visible(tmp_path) == ["file"]


def test_a_folder_that_is_in_use_is_not_written_over(tmp_path):
    write(tmp_path / "network", "first")
    with pytest.raises(OSError, match="not empty"):
        write(tmp_path / "network", "second")
    assert (tmp_path / "network" / "content").read_text() == "first"
    assert visible(tmp_path) == ["network"]
