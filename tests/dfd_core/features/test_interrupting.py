"""Ctrl-C ends a process whose store hangs: a file that is read never comes, or one that is written is never taken."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from dfd_core.features.files import write_feature_file
from dfd_core.features.ledger import load_ledger, write_ledger
from dfd_core.storage import Store

INTERRUPTED = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it

def press_ctrl_c(thread):
    while not any(one.name.startswith(thread) for one in threading.enumerate()):
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGINT)
"""
READING = """
from dfd_core.features.files import read_features
from dfd_core.storage import Store
threading.Thread(target=press_ctrl_c, args=(sys.argv[2],), daemon=True).start()
read_features(Store(sys.argv[1]), "f")
"""
WRITING = """
from dfd_core import storage
from dfd_core.augmentations import AUGMENTATIONS
from dfd_core.backbones import BackboneSpec, resolve
from dfd_core.features.extraction import Extractor
from dfd_core.features.planning import Shard
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec

def never_taken(*_):
    threading.Thread(target=press_ctrl_c, args=("write",), daemon=True).start()
    threading.Event().wait()

storage._write_local = never_taken
target = FeatureSet(dataset="d", augmentation=AUGMENTATIONS["none"], backbone=resolve(BackboneSpec(name="spectrum")))
extractor = Extractor(storage.Store(sys.argv[1]), [target], ExtractionSpec(threads=1))
list(extractor.extract_all([Shard("shard-0", ((sys.argv[2], sys.argv[3]),), (target,))]))
"""


def end_by_ctrl_c(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED + code, *map(str, arguments)], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGINT, done.stderr
    assert done.stderr.endswith(b"KeyboardInterrupt\n")


@pytest.mark.parametrize("known", [False, True])
def test_while_feature_files_are_read(tmp_path, known):
    store = Store(tmp_path)
    for name in ("a", "b"):
        write_feature_file(store, f"f/{name}.parquet", [(name * 64, "ok", None)], np.ones((1, 3), np.float32), {})
    if known:  # then it is the vectors that can't be read, else their rows
        write_ledger(store, "f", load_ledger(store, "f"))
    (tmp_path / "f" / "b.parquet").unlink()
    os.mkfifo(tmp_path / "f" / "b.parquet")  # to open it takes for ever, since nobody writes to it
    end_by_ctrl_c(READING, tmp_path, "dfd-crew")


def test_while_a_feature_file_is_written(tmp_path, images):
    sample = images.slice(0, 1).to_pylist()[0]
    end_by_ctrl_c(WRITING, tmp_path / "store", sample["sample_id"], sample["url"])
