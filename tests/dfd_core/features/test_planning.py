import numpy as np
import pytest

from dfd_core.features.files import write_feature_file
from dfd_core.features.planning import plan_extraction
from dfd_core.storage import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def finish(store, shard, failed=()):
    for target in shard.targets:
        rows = [(i, "missing" if i in failed else "ok", "gone" if i in failed else None) for i, _ in shard.samples]
        X = np.zeros((len(rows), target.backbone.dimension), np.float32)
        write_feature_file(store, shard.path(target), rows, X, {})


def plan(store, images, feature_sets, size=4, retry_failed=False):
    return plan_extraction(store, {"d": images}, feature_sets, size, retry_failed)


def test_everything_is_missing_at_first_and_cut_into_shards(store, images, feature_sets):
    found = plan(store, images, feature_sets)
    assert [len(shard) for shard in found.shards] == [4, 4, 2]
    assert all(shard.targets == feature_sets for shard in found.shards)
    assert [i for shard in found.shards for i, _ in shard.samples] == images["sample_id"].to_pylist()
    assert found.missing == 10 * len(feature_sets)
    assert set(found.done.values()) == {0}
    assert set(found.total.values()) == {10}


def test_what_is_finished_is_not_planned_again(store, images, feature_sets):
    first = plan(store, images, feature_sets)
    finish(store, first.shards[1])
    second = plan(store, images, feature_sets)
    assert {i for s in second.shards for i, _ in s.samples}.isdisjoint(i for i, _ in first.shards[1].samples)
    assert sum(map(len, second.shards)) == 6
    for shard in second.shards:
        finish(store, shard)
    third = plan(store, images, feature_sets)
    assert third.shards == ()
    assert set(third.done.values()) == {10}


def test_a_shard_that_was_cut_short_computes_only_what_it_lacks(store, images, feature_sets):
    shard = plan(store, images, feature_sets).shards[0]
    finish(store, type(shard)(shard.name, shard.samples, shard.targets[:2]))
    again = plan(store, images, feature_sets)
    partly = [s for s in again.shards if s.samples == shard.samples]
    assert [s.targets for s in partly] == [feature_sets[2:]]
    assert again.missing == 10 * len(feature_sets) - 4 * 2


def test_a_new_backbone_or_image_computes_only_itself(store, images, feature_sets):
    for shard in plan(store, images.slice(0, 8), feature_sets[:2]).shards:
        finish(store, shard)
    more_images = plan(store, images, feature_sets[:2])
    assert [[i for i, _ in s.samples] for s in more_images.shards] == [images["sample_id"].to_pylist()[8:]]
    more_sets = plan(store, images.slice(0, 8), feature_sets[:3])
    assert all(s.targets == (feature_sets[2],) for s in more_sets.shards)
    assert more_sets.missing == 8


def test_failed_samples_are_tried_again_only_when_asked(store, images, feature_sets):
    ids = images["sample_id"].to_pylist()
    for shard in plan(store, images, feature_sets).shards:
        finish(store, shard, failed={ids[3], ids[9]})
    assert plan(store, images, feature_sets).shards == ()
    again = plan(store, images, feature_sets, retry_failed=True)
    assert [i for s in again.shards for i, _ in s.samples] == [ids[3], ids[9]]


def test_the_same_bytes_twice_are_computed_once(store, images, feature_sets):
    import pyarrow as pa

    doubled = pa.concat_tables([images, images.slice(2, 3)])
    assert sum(map(len, plan(store, doubled, feature_sets).shards)) == 10


def test_other_datasets_keep_to_themselves(store, images, feature_sets):
    other = tuple(one.model_copy(update={"dataset": "e"}) for one in feature_sets)
    found = plan_extraction(store, {"d": images, "e": images.slice(0, 3)}, feature_sets + other, 100, False)
    assert [(s.targets[0].dataset, len(s)) for s in found.shards] == [("d", 10), ("e", 3)]
