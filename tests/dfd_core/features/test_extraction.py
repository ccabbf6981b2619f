import hashlib
import io
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dfd_core.augmentations import AUGMENTATIONS, augment
from dfd_core.backbones import BackboneSpec, load, resolve
from dfd_core.backbones.specs import Agreement
from dfd_core.errors import StoreError, StoreFullError
from dfd_core.features import extraction, preparation
from dfd_core.features.extraction import Computed, Extractor, extract_here, write_off
from dfd_core.features.files import read_failures, read_features, read_statuses
from dfd_core.features.planning import plan_extraction
from dfd_core.features.precision import read_precision_checks, write_precision_check
from dfd_core.features.sets import FeatureSet
from dfd_core.features.spec import ExtractionSpec
from dfd_core.features.stages import Stages
from dfd_core.storage import Store

SPEC = ExtractionSpec(shard_size=4, batch_size=3, threads=2)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def run(store, images, feature_sets, spec=SPEC):
    plan = plan_extraction(store, {"d": images}, feature_sets, spec.shard_size)
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


def test_what_feature_sets_have_in_common_is_done_once(store, images, monkeypatch):
    """Ten images, two augmentations, four backbones of which two resize alike."""
    names = ("tiny_vit", "tiny_vit", "tiny_clip", "spectrum")
    backbones = [resolve(BackboneSpec(name=name, options=_seed(name, index))) for index, name in enumerate(names)]
    sets = tuple(
        FeatureSet(dataset="d", augmentation=AUGMENTATIONS[name], backbone=backbone)
        for name in ("none", "jpeg_q75")
        for backbone in backbones
    )
    counts = Counter()

    def counted(name, function):
        def call(*arguments):
            counts[name] += 1
            return function(*arguments)

        return call

    for name in ("read_original", "augment", "decode"):
        monkeypatch.setattr(preparation, name, counted(name, getattr(preparation, name)))
    extractor = Extractor(store, sets, SPEC)
    for backbone in extractor.backbones.values():
        monkeypatch.setattr(backbone, "transform", counted(backbone.pixels_key((300, 300)), backbone.transform))
    plan = plan_extraction(store, {"d": images}, sets, 10)
    extractor.extract(plan.shards[0])
    assert (counts.pop("read_original"), counts.pop("decode"), counts.pop("augment")) == (10, 10, 20)
    assert sorted(counts.values()) == [20, 20, 20]
    one, other = (read_features(store, sets[index].folder).X for index in (0, 1))
    assert not np.array_equal(one, other)


def _seed(name, index):
    return {"seed": index} if name != "spectrum" else {}


def test_a_shard_says_where_its_seconds_went(store, images, feature_sets):
    plan = plan_extraction(store, {"d": images}, feature_sets, 10)
    report = Extractor(store, feature_sets, SPEC).extract(plan.shards[0])
    found = report.stages
    assert found.images == report.samples == 10
    assert found.prepare_cpu_s > 0
    assert 0 < found.forward_s < found.wall_s
    assert 0 < found.wait_s < found.wall_s
    assert found.transfer_s == 0
    assert found.write_s > 0
    assert report.stuck_threads == 0
    stages = sum([found, found], Stages())
    assert stages.images == 20
    assert stages.forward_s == pytest.approx(2 * found.forward_s)
    assert 0 < stages.idle_fraction < 1
    assert stages.cores_per_device == pytest.approx(found.prepare_cpu_s / found.forward_s)
    facts = store.read_provenance(plan.shards[0].path(feature_sets[1]))
    assert facts["runtime"]["runtime"] == "torch"
    assert facts["seconds_of_shard"]["forward_s"] == found.forward_s
    assert "write_s" not in facts["seconds_of_shard"]
    assert facts["seconds_of_shard"]["seconds"] == found.wall_s  # the name that files had from the start


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (Stages(10, wall_s=10, wait_s=6, forward_s=3), "decode"),
        (Stages(10, wall_s=10, wait_s=0.5, forward_s=9), "forward"),
        (Stages(10, wall_s=10, wait_s=0.5, forward_s=2, transfer_s=9), "transfer"),
        (Stages(10, wall_s=10, wait_s=0.5, forward_s=9, write_s=11), "write"),
        (Stages(10, wall_s=10, wait_s=0.5, forward_s=9, write_s=9.5), "forward"),
        (Stages(10, wall_s=10, wait_s=0.5), "decode"),  # without a network all is preparation
    ],
)
def test_the_stage_that_others_wait_for_is_named(stages, expected):
    assert stages.bottleneck == expected


def test_files_that_are_written_side_by_side_take_their_time_once(store, images, feature_sets, monkeypatch):
    shard = plan_extraction(store, {"d": images}, feature_sets, 10).shards[0]
    extractor = Extractor(store, feature_sets, SPEC)
    monkeypatch.setattr(extraction, "write_feature_file", lambda *_: time.sleep(0.1))
    computed = [extractor.compute(extractor.prefetch(shard)) for _ in range(5)]
    with ThreadPoolExecutor(4) as pool:
        started = time.perf_counter()
        stages = [report.stages for report in pool.map(Computed.write, computed[1:])]
        wall_s = time.perf_counter() - started
    assert 0.1 * len(feature_sets) <= sum(one.write_s for one in stages) <= wall_s
    assert wall_s < 4 * 0.1 * len(feature_sets)  # so that they were side by side
    time.sleep(0.5)  # nobody writes, so it is nobody's time
    assert 0.1 * len(feature_sets) <= computed[0].write().stages.write_s < 0.1 * len(feature_sets) + 0.4


def scan_bomb():
    """A JPEG below the limit of scans that takes the decoder seconds."""
    buffer = io.BytesIO()
    Image.effect_noise((3000, 3000), 80).convert("RGB").save(buffer, "JPEG", progressive=True, quality=95)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 90 + b"\xff\xd9"


def test_an_image_that_holds_up_the_decoder_costs_itself_alone(store, tmp_path, spectrum):
    good = tmp_path / "good.png"
    Image.effect_noise((64, 64), 50).convert("RGB").save(good)
    bomb = tmp_path / "bomb.jpg"
    bomb.write_bytes(scan_bomb())
    rows = [{"sample_id": hashlib.sha256(p.read_bytes()).hexdigest(), "url": str(p)} for p in (bomb, good)]
    sets = (FeatureSet(dataset="d", augmentation=AUGMENTATIONS["none"], backbone=spectrum),)
    spec = ExtractionSpec(threads=1, decode_timeout_s=1.0)
    plan = plan_extraction(store, {"d": pa.Table.from_pylist(rows)}, sets)
    report = Extractor(store, sets, spec).extract(plan.shards[0])
    assert read_statuses(store, sets[0].folder) == {rows[0]["sample_id"]: "timed_out", rows[1]["sample_id"]: "ok"}
    assert report.failures == {sets[0].folder: {"timed_out": 1}}
    assert report.stuck_threads == 1


def test_careful_extraction_gives_the_same_vectors_and_the_same_failures(tmp_path, images, feature_sets):
    urls, ids = images["url"].to_pylist(), images["sample_id"].to_pylist()
    Path(urls[2]).write_bytes(b"GIF89a nonsense")
    ids[2] = hashlib.sha256(b"GIF89a nonsense").hexdigest()
    images = pa.table({"sample_id": ids, "url": urls})
    found = []
    for name, careful in (("plain", False), ("careful", True)):
        store = Store(tmp_path / name)
        (shard,) = plan_extraction(store, {"d": images}, feature_sets).shards
        Extractor(store, feature_sets, SPEC).extract(shard, careful=careful)
        found.append([(read_statuses(store, o.folder), read_features(store, o.folder).X) for o in feature_sets])
    for (statuses, X), (careful_statuses, careful_X) in zip(*found, strict=True):
        assert statuses == careful_statuses
        assert statuses[ids[2]] not in ("ok", "crashed")
        assert np.array_equal(X, careful_X)


def test_reduced_precision_is_compared_with_float32_once_and_kept(store, images):
    backbones = [resolve(BackboneSpec(name="tiny_resnet", precision=one)) for one in ("float32", "bfloat16")]
    sets = tuple(FeatureSet(dataset="d", augmentation=AUGMENTATIONS["none"], backbone=one) for one in backbones)
    run(store, images, sets)
    (check,) = read_precision_checks(store, sets)
    assert (check.backbone, check.precision) == ("Tiny ResNet (random) (bfloat16)", "bfloat16")
    assert check.n == 4
    X, Y = (read_features(store, one.folder).X for one in sets)
    cosines = (X * Y).sum(1) / np.linalg.norm(X, axis=1) / np.linalg.norm(Y, axis=1)
    assert cosines.min() - 1e-5 <= check.cosine < 1
    assert check.runtime.startswith("torch ")
    assert read_precision_checks(store, sets[:1]) == []


def test_precision_checks_of_many_actors_are_one_line_for_each_runtime(store):
    backbone = resolve(BackboneSpec(name="tiny_resnet", precision="bfloat16"))
    target = FeatureSet(dataset="d", augmentation=AUGMENTATIONS["none"], backbone=backbone)
    for version in ("2", "3"):
        for n in (1, 2, 3):
            agreement = Agreement(n=16, cosine=1 - n / 1000, centred=1 - n / 100)
            write_precision_check(store, target, agreement, {"runtime": "torch", "version": version})
    old, new = read_precision_checks(store, (target,))
    assert (old.runtime, new.runtime) == ("torch 2", "torch 3")
    assert (new.n, new.cosine, new.centred) == (48, 0.997, 0.97)


def test_a_place_that_does_not_answer_is_no_fault_of_the_image(store, images, spectrum, monkeypatch):
    asked = threading.Event()

    def silent(url, sample_id):
        asked.set()
        time.sleep(30)

    monkeypatch.setattr(preparation, "read_original", silent)
    sets = (FeatureSet(dataset="d", augmentation=AUGMENTATIONS["none"], backbone=spectrum),)
    (shard,) = plan_extraction(store, {"d": images}, sets).shards
    with pytest.raises(StoreError, match=r"Could not read .*0\.png: no answer in 0\.5 s"):
        Extractor(store, sets, ExtractionSpec(threads=1, decode_timeout_s=0.5)).extract(shard)
    assert asked.is_set()
    assert store.names(sets[0].folder) == []
