"""Small images on disk and the feature sets that tests extract from them."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dfd_core.augmentations import AUGMENTATIONS
from dfd_core.backbones import BackboneSpec, resolve
from dfd_core.features.files import read_features
from dfd_core.features.sets import FeatureSet
from dfd_core.manifests import Manifest
from dfd_core.storage import Store


@pytest.fixture
def images(tmp_path):
    """A manifest of ten images of 40 to 67 px, as a table with `sample_id`, `path` and `url`."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(10):
        path = tmp_path / "images" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 255, (40 + 3 * index, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        rows.append({"sample_id": hashlib.sha256(path.read_bytes()).hexdigest(), "path": path.name, "url": str(path)})
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="session")
def spectrum():
    return resolve(BackboneSpec(name="spectrum"))


@pytest.fixture(scope="session")
def tiny_vit():
    return resolve(BackboneSpec(name="tiny_vit"))


@pytest.fixture
def feature_sets(spectrum, tiny_vit):
    return tuple(
        FeatureSet(dataset="d", augmentation=AUGMENTATIONS[name], backbone=backbone)
        for name in ("none", "jpeg_q75", "cnndetection_blur_jpeg_0.5")
        for backbone in (spectrum, tiny_vit)
    )


WIDTH = 5


def _columns(n=40, seed=0):
    """A table's columns as lists: two generators, both splits, ids."""
    kinds = (["progan", "real", "ldm_200", "real"] * n)[:n]
    return {
        "sample_id": [f"s{i}" for i in range(n)],
        "dataset": ["d"] * n,
        "split": ["train" if i < n // 2 else "test" for i in range(n)],
        "generator": kinds,
        "label": [int(kind != "real") for kind in kinds],
        "backbone": ["clip"] * n,
        "embedding": list(np.random.default_rng(seed).normal(size=(n, WIDTH)).astype(np.float32)),
    }


def _write(path, values, kind=None):
    table = pa.table({k: v for k, v in values.items() if k != "embedding"})
    if "embedding" in values:
        rows = [None if v is None else list(map(float, v)) for v in values["embedding"]]
        kind = kind or pa.list_(pa.float32(), WIDTH)
        table = table.append_column("embedding", pa.array(rows, kind))
    pq.write_table(table, path, row_group_size=7)
    return str(path)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def table(tmp_path):
    def make(changes=None, kind=None, **more):
        values = _columns() | more
        for name, edits in (changes or {}).items():
            values[name] = list(values[name])
            for row, value in edits.items():
                values[name][row] = value
        return _write(tmp_path / "t.parquet", {k: v for k, v in values.items() if v is not None}, kind)

    return make


def _load(store, imported, place=0):
    """Vectors of a feature set by the sample's path."""
    target = imported.feature_sets[place]
    found = read_features(store, target.folder)
    frame = Manifest(store, target.dataset, imported.manifests[target.dataset]).frame
    path = dict(zip(frame["sample_id"], frame["path"], strict=True))
    return {path[one]: x for one, x in zip(found.sample_ids.tolist(), found.X, strict=True)}


@pytest.fixture
def columns():
    """A table's columns as lists, of so many rows and a seed."""
    return _columns


@pytest.fixture
def write():
    """Writes such columns as Parquet and gives the path."""
    return _write


@pytest.fixture
def load():
    """Vectors of an imported feature set by the sample's path."""
    return _load
