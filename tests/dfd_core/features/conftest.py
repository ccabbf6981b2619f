"""Small images on disk and the feature sets that tests extract from them."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dfd_core.augmentations import AUGMENTATIONS
from dfd_core.backbones import BackboneSpec, resolve
from dfd_core.features.sets import FeatureSet


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
