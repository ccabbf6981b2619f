import numpy as np
import pyarrow as pa
import pytest

from dfd_core.features.extraction import find_report, write_off
from dfd_core.features.files import read_failures, read_statuses, write_feature_file
from dfd_core.features.ledger import FEW_FILES, ledger_path
from dfd_core.features.planning import Shard, plan_extraction
from dfd_core.features.reports import report_of
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
    assert set(again.done.values()) == {8}


def test_a_retry_takes_every_row_that_is_not_ok_and_no_other(store, images, feature_sets):
    ids = images["sample_id"].to_pylist()
    first, second, third = plan(store, images, feature_sets).shards
    finish(store, first, failed={ids[1]})
    write_off(store, second, "quarantined", "killed its actor")
    finish(store, third)
    again = plan(store, images, feature_sets, size=100, retry_failed=True)
    assert [i for s in again.shards for i, _ in s.samples] == [ids[1], *ids[4:8]]


def test_no_attempt_writes_over_an_earlier_one_and_the_last_counts(store, images, feature_sets):
    ids, target = images["sample_id"].to_pylist(), feature_sets[:1]
    folder = target[0].folder
    contents = {}
    for status in ("quarantined", "crashed", "timed_out", "ok"):
        (shard,) = plan(store, images, target, size=100, retry_failed=True).shards
        assert find_report(store, shard) is None
        assert not store.exists(shard.path(target[0]))
        rows = [(i, status if i == ids[0] else "ok", status) for i, _ in shard.samples]
        write_feature_file(store, shard.path(target[0]), rows, np.zeros((len(rows), 8), np.float32), {})
        assert find_report(store, shard).failures == {folder: {status: 1} if status != "ok" else {}}
        contents[shard.path(target[0])] = store.read_bytes(shard.path(target[0]))
        assert read_statuses(store, folder)[ids[0]] == status
        assert [row[1] for row in read_failures(store, folder)] == ([status] if status != "ok" else [])
    assert len(contents) == 4
    assert all(store.read_bytes(path) == content for path, content in contents.items())
    assert plan(store, images, target, retry_failed=True).shards == ()


def test_a_file_that_is_there_survives_the_writing_off_of_its_shard(store, images, feature_sets):
    shard = plan(store, images, feature_sets[:2], size=100).shards[0]
    finish(store, Shard(shard.name, shard.samples, shard.targets[:1]))
    assert find_report(store, shard) is None
    write_off(store, shard, "quarantined", "killed its actor")
    assert set(read_statuses(store, feature_sets[0].folder).values()) == {"ok"}
    assert set(read_statuses(store, feature_sets[1].folder).values()) == {"quarantined"}


def test_an_image_that_fails_differently_in_two_feature_sets_is_one_failed_image(store, images, feature_sets):
    shard = plan(store, images, feature_sets[:2], size=100).shards[0]
    (first, second, *others), target = [sample_id for sample_id, _ in shard.samples], shard.targets[0]
    rows = [(first, "missing", "gone"), (second, "empty", "0 bytes"), *((one, "ok", None) for one in others)]
    write_feature_file(store, shard.path(target), rows, np.zeros((len(rows), 8), np.float32), {})
    report = write_off(store, shard, "timed_out", "took too long")
    assert report.failures[target.folder] == {"missing": 1, "empty": 1}
    assert report.failed == report.samples == len(shard)
    assert find_report(store, shard).failed == len(shard)
    assert report_of(shard, {"a": rows, "b": [(first, "non_finite", "NaN"), (second, "ok", None)]}).failed == 2


def changed(feature_sets, **change):
    """Feature sets with another seed of one augmentation or another digest of one backbone."""
    for name, value in change.items():
        if name == "weights_digest":
            backbone = feature_sets[1].backbone
            other = backbone.model_copy(update={name: value})
            return tuple(
                one.model_copy(update={"backbone": other}) if one.backbone == backbone else one for one in feature_sets
            )
    return tuple(
        one.model_copy(update={"augmentation": one.augmentation.model_copy(update=change)})
        if one.augmentation.steps
        else one
        for one in feature_sets
    )


def test_only_what_depends_on_a_change_is_computed_anew(store, images, feature_sets):
    for shard in plan(store, images, feature_sets).shards:
        finish(store, shard)
    seeded = plan(store, images, changed(feature_sets, seed=1))
    drawn = [one for one in changed(feature_sets, seed=1) if one.augmentation.is_drawn]
    assert 0 < len(drawn) < len([one for one in feature_sets if one.augmentation.steps])
    assert {target.folder for s in seeded.shards for target in s.targets} == {one.folder for one in drawn}
    weights = plan(store, images, changed(feature_sets, weights_digest="0" * 64))
    assert {target.backbone.weights_digest for s in weights.shards for target in s.targets} == {"0" * 64}
    assert weights.missing == 10 * len(feature_sets) // 2


def test_labels_are_no_part_of_planning(store, images, feature_sets):
    labelled = images.append_column("label", pa.array([0] * 10, pa.int8()))
    for shard in plan(store, labelled, feature_sets).shards:
        finish(store, shard)
    corrected = images.append_column("label", pa.array([1] * 10, pa.int8()))
    assert plan(store, corrected, feature_sets).shards == ()


def test_the_same_bytes_twice_are_computed_once_from_the_first_place(store, images, feature_sets):
    copies = images.slice(2, 3).set_column(2, "url", pa.array(["copy"] * 3))
    found = plan(store, pa.concat_tables([images, copies, images.slice(0, 1)]), feature_sets)
    assert sum(map(len, found.shards)) == found.images == 10
    assert set(found.total.values()) == {10}
    assert [url for s in found.shards for _, url in s.samples] == images["url"].to_pylist()


def test_other_datasets_keep_to_themselves(store, images, feature_sets):
    other = tuple(one.model_copy(update={"dataset": "e"}) for one in feature_sets)
    found = plan_extraction(store, {"d": images, "e": images.slice(0, 3)}, feature_sets + other, 100, False)
    assert [(s.targets[0].dataset, len(s)) for s in found.shards] == [("d", 10), ("e", 3)]
    finish(store, found.shards[0])
    left = plan_extraction(store, {"d": images, "e": images.slice(0, 3)}, feature_sets + other, 100, False)
    assert left.shards == found.shards[1:]


def test_shards_of_one_plan_have_names_of_their_own(store, images, feature_sets):
    other = tuple(one.model_copy(update={"dataset": "e"}) for one in feature_sets)
    found = plan_extraction(store, {"d": images, "e": images}, feature_sets + other, 4)
    assert len({shard.name for shard in found.shards}) == len(found.shards) == 6


def test_the_cut_depends_on_nothing_but_the_manifest(store, images, feature_sets):
    ids = images["sample_id"].to_pylist()
    for shard in plan(store, images.take([1, 5, 7]), feature_sets[:3]).shards:
        finish(store, shard, failed={ids[5]})
    for shard in plan(store, images.slice(8), feature_sets[2:]).shards:
        finish(store, shard)
    in_chunks = pa.concat_tables([images.slice(0, 3), images.slice(3, 1), images.slice(4)])
    for retry in (False, True):
        a, b = (plan(store, one, feature_sets, 3, retry) for one in (images, in_chunks))
        assert a.shards == b.shards
        assert list(a.shards) == [a.shards[index] for index in range(len(a.shards))]
        assert a.shards[-1] == list(a.shards)[-1]
        assert a.missing == sum(len(s) * len(s.targets) for s in a.shards)
        assert a.images == sum(map(len, a.shards))
        assert all(len(s) <= 3 for s in a.shards)
        asked = {(i, target.folder) for s in a.shards for i, _ in s.samples for target in s.targets}
        statuses = {one.folder: read_statuses(store, one.folder) for one in feature_sets}
        finished = {"ok"} if retry else {"ok", "missing"}
        assert asked == {(i, f) for i in ids for f, known in statuses.items() if known.get(i) not in finished}
    with pytest.raises(IndexError):
        a.shards[len(a.shards)]


def test_a_plan_holds_the_manifests_columns_and_no_copy_of_them(store, feature_sets):
    n = 50_000
    ids = pa.array([f"{i:064x}" for i in range(n)])
    table = pa.table({"sample_id": ids, "url": pa.array([f"/images/{i}.png" for i in range(n)])})
    found = plan(store, table, feature_sets, size=None)
    (group,) = found.shards.groups
    assert group.table["sample_id"].chunk(0).buffers()[2].address == ids.buffers()[2].address
    assert group.rows == range(n)
    assert len(found.shards) == -(-n // (n // 64))
    assert found.shards[1].samples[0] == (f"{n // 64:064x}", f"/images/{n // 64}.png")


def test_ledgers_are_kept_only_on_request(store, images, feature_sets):
    path = ledger_path(feature_sets[0].folder)
    rows = [(f"{i}", "ok", None) for i in range(FEW_FILES)]
    for row in rows:
        write_feature_file(store, f"{feature_sets[0].folder}/shard-{row[0]}.parquet", [row], np.zeros((1, 2)), {})
    plan(store, images, feature_sets)
    assert not store.exists(path)
    plan_extraction(store, {"d": images}, feature_sets, keep_ledgers=True)
    assert store.read_table(path).num_rows == FEW_FILES
