"""Vectors of files' metadata, where files were away for a while."""

import pytest

from dfd_core import pipeline
from dfd_core.config import RunConfig
from dfd_core.features.files import read_features, read_statuses
from dfd_core.pipeline.metadata import metadata_sets
from dfd_core.storage import Store


@pytest.fixture
def config(noise_images, tmp_path):
    noise_images(tmp_path / "images", 6, side=20)
    return RunConfig(
        store=str(tmp_path / "store"), datasets=[{"name": "mine", "folders": str(tmp_path / "images")}],
        backbones=["spectrum"], augmentations=["none"],
    )  # fmt: skip


def test_what_was_missing_or_changed_is_tried_again_only_when_asked(config, tmp_path):
    store, retry = Store(config.store), config.model_copy(update={"retry_failed": True})
    manifests, _ = pipeline.find_inputs(config).open(config)
    (one,) = metadata_sets(config, ["mine"])
    away, changed = tmp_path / "images/gan1/fake/1.png", tmp_path / "images/gan1/fake/2.png"
    data = {path: path.read_bytes() for path in (away, changed)}
    away.unlink()
    changed.write_bytes(b"other")
    assert pipeline.read_metadata(config, manifests) == 12
    assert sorted(read_statuses(store, one.folder).values()) == ["changed", "missing", *["ok"] * 10]
    changed.write_bytes(data[changed])
    assert pipeline.read_metadata(config, manifests) == 0
    assert pipeline.read_metadata(retry, manifests) == 2
    assert sorted(read_statuses(store, one.folder).values()) == ["missing", *["ok"] * 11]
    away.write_bytes(data[away])
    assert pipeline.read_metadata(retry, manifests) == 1
    assert read_features(store, one.folder).X.shape[0] == 12
    assert pipeline.read_metadata(retry, manifests) == 0
    names = store.names(one.folder)
    assert sorted(name.partition("-retry")[2] for name in names) == ["", "1.parquet", "2.parquet"]
