from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfd_core.augmentations import augment
from dfd_core.backbones import load
from dfd_core.errors import StoreFullError
from dfd_core.features import preparation
from dfd_core.features.extraction import Extractor, extract_here, write_off
from dfd_core.features.files import read_failures, read_features, read_statuses
from dfd_core.features.planning import plan_extraction
from dfd_core.features.spec import ExtractionSpec
from dfd_core.storage import Store

SPEC = ExtractionSpec(shard_size=4, batch_size=3, threads=2)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def run(store, images, feature_sets, spec=SPEC):
    plan = plan_extraction(store, {"d": images}, feature_sets, spec.shard_size, spec.retry_failed)
    return extract_here(store, plan, spec, lambda report: None)


def test_every_vector_equals_the_backbone_on_the_augmented_image(store, images, feature_sets):
    reports = run(store, images, feature_sets)
    assert sum(report.samples for report in reports) == 10
    for feature_set in feature_sets:
        table = read_features(store, feature_set.folder)
        backbone = load(feature_set.backbone)
        for sample_id, url in zip(images["sample_id"].to_pylist(), images["url"].to_pylist(), strict=True):
            image = augment(feature_set.augmentation, Image.open(url).convert("RGB"), sample_id)
            (expected,) = backbone.embed([backbone.transform(image)])
            found = table.X[table.rows([sample_id])[0][0]]
            assert np.allclose(found, expected, atol=1e-5), feature_set.title


def test_the_cut_into_shards_batches_and_threads_changes_no_vector(tmp_path, images, feature_sets):
    tables = []
    for index, spec in enumerate((SPEC, ExtractionSpec(shard_size=10, batch_size=10, threads=1))):
        store = Store(tmp_path / f"store{index}")
        run(store, images, feature_sets, spec)
        tables.append([read_features(store, one.folder) for one in feature_sets])
    for a, b in zip(*tables, strict=True):
        assert a.sample_ids.tolist() == b.sample_ids.tolist()
        assert np.allclose(a.X, b.X, atol=1e-5)


def test_each_image_is_read_and_decoded_once(store, images, feature_sets, monkeypatch):
    decoded = []
    decode = preparation.decode
    monkeypatch.setattr(preparation, "decode", lambda data, policy: decoded.append(data) or decode(data, policy))
    run(store, images, feature_sets)
    assert len(decoded) == 10


def test_a_bad_image_costs_itself_alone_and_is_a_row(store, images, feature_sets):
    urls, ids = images["url"].to_pylist(), images["sample_id"].to_pylist()
    Path(urls[2]).unlink()
    Path(urls[5]).write_bytes(b"changed")
    run(store, images, feature_sets)
    for feature_set in feature_sets:
        statuses = read_statuses(store, feature_set.folder)
        assert statuses == {i: {ids[2]: "missing", ids[5]: "changed"}.get(i, "ok") for i in ids}
        failures = {sample_id: error for sample_id, _, error in read_failures(store, feature_set.folder)}
        assert urls[2] in failures[ids[2]]
        assert len(read_features(store, feature_set.folder).X) == 8


def test_an_image_may_fail_one_backbone_and_not_another(store, tmp_path, feature_sets, images):
    import hashlib

    import pyarrow as pa

    small = tmp_path / "small.png"
    Image.new("RGB", (20, 20)).save(small)
    row = {"sample_id": hashlib.sha256(small.read_bytes()).hexdigest(), "path": "small.png", "url": str(small)}
    run(store, pa.Table.from_pylist([row]), feature_sets)
    for feature_set in feature_sets:
        (status,) = read_statuses(store, feature_set.folder).values()
        assert status == ("too_small" if feature_set.backbone.spec.name == "spectrum" else "ok")


def test_infinite_vectors_are_no_vectors(store, images, feature_sets, monkeypatch):
    plan = plan_extraction(store, {"d": images}, feature_sets, 10, False)
    extractor = Extractor(store, feature_sets, SPEC)
    key = feature_sets[1].backbone.key()
    submit = extractor.backbones[key].submit

    def spoiled(inputs):
        X = submit(inputs)()
        X[::3, 0] = np.nan
        return lambda: X

    monkeypatch.setattr(extractor.backbones[key], "submit", spoiled)
    report = extractor.extract(plan.shards[0])
    assert report.failures[feature_sets[1].folder] == {"non_finite": 4}
    assert report.failures[feature_sets[0].folder] == {}
    assert np.isfinite(read_features(store, feature_sets[1].folder).X).all()


def test_a_second_run_computes_nothing(store, images, feature_sets):
    run(store, images, feature_sets)
    assert run(store, images, feature_sets) == []


def test_files_say_where_they_come_from(store, images, feature_sets):
    run(store, images, feature_sets)
    files = [f"{feature_sets[1].folder}/{name}" for name in store.names(feature_sets[1].folder)]
    assert sum(store.read_provenance(path)["n"] for path in files) == 10
    facts = store.read_provenance(files[0])
    assert facts["feature_set"]["backbone"]["weights_digest"] == feature_sets[1].backbone.weights_digest
    assert facts["feature_set"]["augmentation"]["name"] == "none"
    assert facts["packages"]["timm"]


def test_a_full_disk_ends_extraction_with_a_clear_error(store, images, feature_sets, monkeypatch):
    import errno

    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dfd_core.storage._write_local", no_space)
    with pytest.raises(StoreFullError, match="No space left"):
        run(store, images, feature_sets)


def test_a_shard_that_is_written_off_has_a_row_for_every_sample(store, images, feature_sets):
    (shard,) = plan_extraction(store, {"d": images}, feature_sets, 100, False).shards
    write_off(store, shard, "quarantined", "killed its actor")
    for feature_set in feature_sets:
        assert set(read_statuses(store, feature_set.folder).values()) == {"quarantined"}
    assert plan_extraction(store, {"d": images}, feature_sets, 100, False).shards == ()
