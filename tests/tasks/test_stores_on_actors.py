"""A store of the hub goes to Ray's processes, and each sees what the others wrote."""

import os
import runpy
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from dfd_core.storage import Store

HUB = Path(__file__).parent.parent / "dfd_core" / "stores" / "hub_with_buckets.py"


@pytest.mark.usefixtures("ray_open")
def test_a_bucket_of_the_hub_is_a_store_for_processes_of_ray(monkeypatch, tmp_path):
    import ray

    hub = runpy.run_path(str(HUB))["Hub"]()
    there = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_writes", "HF_HOME": str(tmp_path)}
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": hub.url})
    monkeypatch.setenv("HF_TOKEN", "hf_writes")

    def write_and_read(store, name, other):
        store.write_table(f"a/{name}.parquet", pa.table({"x": list(range(1000))}), {"pid": os.getpid()})
        return store.names("a"), store.read_provenance(f"a/{other}.parquet")["pid"]

    try:
        store = Store("hf://buckets/o/n/store")
        store.write_table("a/0.parquet", pa.table({"x": [1]}), {"pid": os.getpid()})
        task = ray.remote(write_and_read).options(runtime_env={"env_vars": there})
        names, pid = ray.get(task.remote(store, "1", "0"))
        assert (names, pid) == (["0.parquet", "1.parquet"], os.getpid())
        assert store.names("a") == names
        assert store.read_provenance("a/1.parquet")["pid"] != os.getpid()
        assert store.read_table("a/1.parquet")["x"].to_pylist() == list(range(1000))
    finally:
        hub.close()
