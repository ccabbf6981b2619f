import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DFD = [sys.executable, "-c", "from flows.cli import main; main()"]


def dfd(*arguments):
    return subprocess.run([*DFD, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def test_a_table_is_imported_and_listed(tmp_path):
    X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    columns = {"label": [0, 1] * 10, "generator": ["real", "ldm"] * 10, "split": ["train"] * 10 + ["test"] * 10}
    pq.write_table(pa.table({**columns, "embedding": list(X)}), tmp_path / "t.parquet")
    store = tmp_path / "store"
    done = dfd("features", "import", tmp_path / "t.parquet", "--store", store, "--name", "mine")
    assert done.returncode == 2
    assert "--backbone NAME" in done.stderr
    assert not store.exists()
    for _ in range(2):
        done = dfd(
            "features", "import", tmp_path / "t.parquet", "--store", store, "--name", "mine", "--backbone", "clip"
        )
        assert done.returncode == 0, done.stderr
        *_, row, address = done.stdout.splitlines()
        assert row.split() == ["mine", "none", "clip", "4", "10", "10", "10", "0", "10"]
    (record,) = (store / "imports").iterdir()
    assert address == str(record)
    listed = dfd("features", "list", "--store", store).stdout.splitlines()
    assert listed[2].split() == ["mine", "none", "clip", "4", "20", "0", "1", record.stem]
    assert listed[-1] == str(store / "features")


def test_options_go_file_by_file_or_hold_for_all(tmp_path):
    rng, store = np.random.default_rng(0), tmp_path / "store"
    for name in ("real", "fake"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(5, 3)))
    files = (tmp_path / "real.npy", tmp_path / "fake.npy")
    said = ("--store", store, "--name", "mine", "--backbone", "clip", "--split", "test")
    done = dfd("features", "import", *files, *said, "--label", "real", "--label", "generator=progan")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2].split() == ["mine", "none", "clip", "3", "5", "5", "0", "0", "10"]
    for wrong, message in {
        ("--label", "progan"): "--label: a label is `real` or `generator=NAME`",
        ("--label", "real", "--label", "real", "--label", "real"): "--label is given 3 times for 2 files",
    }.items():
        done = dfd("features", "import", *files, *said, *wrong)
        assert done.returncode == 2
        assert message in done.stderr
    done = dfd("features", "import", *files, *said, "--label", "generator=progan")
    assert done.returncode == 1
    assert "mine, split test, augmentation none, has generated images only (progan)" in done.stderr


def test_extracted_feature_sets_are_listed_too(tmp_path):
    from dfd_core import in_process
    from dfd_core.config import RunConfig
    from dfd_core.pipeline import find_inputs

    config = RunConfig(
        store=str(tmp_path / "store"),
        datasets=[{"catalogue": "simulated", "options": {"images_per_class": 4, "size": 64}}],
        augmentations=["jpeg_q75"],
        backbones=["spectrum"],
    )
    inputs = find_inputs(config)
    in_process.extract(config, inputs)
    done = dfd("features", "list", "--store", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2].split()[:3] == ["simulated", "jpeg_q75", "spectrum"]
