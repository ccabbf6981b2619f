"""A grid fitted in bundles: what is shared, what is kept, what fails alone."""

import numpy as np
import pytest

from dfd_core.classifiers import ClassifierSpec
from dfd_core.detectors import Detector, fit
from dfd_core.errors import StoreError, UnknownNameError
from dfd_core.evaluation import Samples, score_detector, training_rows
from dfd_core.evaluation import cells as module
from dfd_core.evaluation.banks import VectorSet, concatenate, load_bank, vector_sets
from dfd_core.evaluation.cells import Bench, bundles, fit_and_score, fit_shared_reducer, sharing_a_reducer
from dfd_core.evaluation.grid import GridSpec, missing_jobs, plan_detectors
from dfd_core.evaluation.protocols import ProtocolSpec
from dfd_core.evaluation.results import EvaluationSpec, Rules, evaluate
from dfd_core.evaluation.scoring import failure_of
from dfd_core.features.files import write_feature_file
from dfd_core.features.table import FeatureTable
from dfd_core.storage import Store

GRID = GridSpec(reducers=("none", "standardize"), classifiers=("logistic_regression", "nearest_neighbour"))


@pytest.fixture
def stored(world, tmp_path):
    """The world's features in a store, and what the grid needs to know of them."""
    store = Store(tmp_path / "store")
    sets = []
    for (dataset, augmentation), table in world.bank.items():
        folder = f"features/{dataset}/{augmentation}/b"
        save(store, f"{folder}/shard-0.parquet", table)
        sets.append(VectorSet(dataset=dataset, augmentation=augmentation, backbone="b", folders=(folder,)))
    return store, {"b": sets}


def save(store, path, table):
    rows = [(sample_id, "ok", None) for sample_id in table.sample_ids.tolist()]
    write_feature_file(store, path, rows, table.X, {})


def plan(world, stored, grid=GRID, digests=None):
    store, sets = stored
    samples = Samples(world.frame, grid.protocol.pairing)
    return plan_detectors(store, samples, digests or {"a": "1", "b": "2"}, sets, grid)


def bench(world, stored, grid=GRID):
    store, sets = stored
    return Bench(store, Samples(world.frame), load_bank(store, sets["b"]), grid.protocol)


def scores(stored, jobs):
    return {job.spec.name(): stored[0].read_table(job.scores_path).to_pandas() for job in jobs}


def test_a_grid_gives_what_each_detector_by_itself_gives(world, stored):
    jobs = plan(world, stored)
    assert len(jobs) == 3 * 2 * 2
    parts = bundles(jobs, workers=1)
    assert [len(part) for part in parts] == [2] * 6
    assert sharing_a_reducer(parts) == []
    shared = bench(world, stored)
    assert [fit_and_score(shared, part) for part in parts] == [(2, ())] * 6
    for job in jobs:
        alone = fit(job.spec, *training_rows(job.spec, shared.samples, shared.bank))
        expected = score_detector(alone, shared.bank, shared.samples, shared.protocol)
        assert stored[0].read_table(job.scores_path).equals(expected)
        assert Detector.load(stored[0], job.detector_path).summary == alone.summary


def test_bundles_are_split_where_workers_would_idle_and_the_reducer_is_fitted_once(world, stored, monkeypatch):
    jobs = [job for job in plan(world, stored) if job.spec.train_generator == "ldm"]
    parts = bundles(jobs, workers=4)
    assert [len(part) for part in parts] == [1] * 4
    (first,) = sharing_a_reducer(parts)
    assert first[0].spec.reducer.name == "standardize"
    fitted = []
    original = module.fit_reducer
    monkeypatch.setattr(module, "fit_reducer", lambda *given: fitted.append(given[0].name) or original(*given))
    shared = bench(world, stored)
    fit_shared_reducer(shared, first)
    fit_shared_reducer(shared, first)
    for part in parts:
        fit_and_score(shared, part)
    assert fitted == ["standardize"]
    assert missing_jobs(stored[0], jobs) == []


def test_a_killed_bundle_resumes_with_what_is_missing(world, stored, monkeypatch):
    (part, *_) = bundles(plan(world, stored), workers=1)
    shared = bench(world, stored)
    fit_and_score(shared, part)
    before = scores(stored, part)
    for job in part:  # as if it had been killed after the fits
        stored[0].fs.rm(stored[0].url(job.scores_path))
    monkeypatch.setattr(module, "fit_group", None)
    assert fit_and_score(shared, part).scored == 2
    after = scores(stored, part)
    assert all(after[name].equals(before[name]) for name in before)


def test_what_is_tested_changes_no_fit_and_what_is_trained_on_does(world, stored):
    before = plan(world, stored)
    other_manifest = plan(world, stored, digests={"a": "1", "b": "3"})
    assert [job.fit_key for job in before] == [job.fit_key for job in other_manifest]
    assert not {job.key for job in before} & {job.key for job in other_manifest}
    world.frame.loc[world.frame["generator"] == "glide", "label"] = 1
    glide = world.frame.index[(world.frame["generator"] == "glide") & (world.frame["split"] == "train")]
    world.frame = world.frame.drop(index=glide[0])
    changed = {
        job.spec.train_generator
        for job, old in zip(plan(world, stored), before, strict=True)
        if job.fit_key != old.fit_key
    }
    assert changed == {"glide"}


def test_a_cell_that_fails_is_a_row_and_the_others_go_on(world, stored, monkeypatch):
    original = module.fit_group

    def breaking(specs, X, y, seed):
        if specs[0].name == "nearest_neighbour":
            raise ArithmeticError("no neighbours today")
        return original(specs, X, y, seed)

    monkeypatch.setattr(module, "fit_group", breaking)
    (part, *_) = bundles(plan(world, stored), workers=1)
    done = fit_and_score(bench(world, stored), part)
    (job,) = [job for job in part if job.spec.classifier.name == "nearest_neighbour"]
    assert done == (1, ((job.spec.name(), "ArithmeticError: no neighbours today"),))
    table = stored[0].read_table(job.scores_path)
    assert failure_of(table) == "ArithmeticError: no neighbours today"
    assert missing_jobs(stored[0], part) == []
    assert missing_jobs(stored[0], part, retry_failed=True) == [job]
    rules = Rules(Samples(world.frame), ProtocolSpec(), EvaluationSpec(), {"a": ["none", "blur"], "b": ["none"]})
    rows = evaluate(table, rules).to_pylist()
    assert [(row["test_generator"], row["test_augmentation"]) for row in rows] == [
        ("ldm", "none"), ("ldm", "blur"), ("progan", "none"), ("progan", "blur"), ("glide", "none"),
    ]  # fmt: skip
    assert {(row["status"], row["value"], row["note"]) for row in rows} == {
        ("failed", None, "ArithmeticError: no neighbours today")
    }


def test_rows_that_can_not_be_trained_on_fail_all_cells_of_their_bundle(world, stored):
    folder = "features/a/none/b"
    table = world.bank["a", "none"]
    X = table.X.copy()
    (train, *_) = world.frame.index[(world.frame["generator"] == "ldm") & (world.frame["split"] == "train")]
    X[table.rows([world.frame.loc[train, "sample_id"]])[0]] = np.nan
    stored[0].fs.rm(stored[0].url(f"{folder}/shard-0.parquet"))
    save(stored[0], f"{folder}/shard-0.parquet", FeatureTable(table.sample_ids, X, {}))
    shared = bench(world, stored)
    done = {part[0].spec.train_generator: fit_and_score(shared, part) for part in bundles(plan(world, stored), 1)}
    assert [len(done[name].failed) for name in ("ldm", "progan", "glide")] == [2, 0, 0]
    assert "hold NaN or infinite values" in done["ldm"].failed[0][1]


def test_a_store_that_fails_is_no_cell_s_fault(world, stored, monkeypatch):
    def gone(*_):
        raise StoreError("gone")

    (part, *_) = bundles(plan(world, stored), workers=1)
    shared = bench(world, stored)
    monkeypatch.setattr(Store, "write_bytes", gone)
    with pytest.raises(StoreError, match="gone"):
        fit_and_score(shared, part)


def test_the_probe_is_trained_on_metadata_alone(world, stored):
    store, sets = stored
    metadata = [one.model_copy(update={"backbone": "metadata"}) for one in sets["b"] if one.augmentation == "none"]
    grid = GRID.model_copy(
        update={
            "probe": ClassifierSpec(name="logistic_regression"),
            "protocol": ProtocolSpec(train_augmentations=("blur",)),
        }
    )
    jobs = plan(world, (store, {**sets, "metadata": metadata}), grid)
    probes = [job.spec for job in jobs if job.spec.backbone == "metadata"]
    assert [(one.train_augmentation, one.reducer.name, one.classifier.name) for one in probes] == [
        ("none", "none", "logistic_regression")
    ] * 3
    assert {job.spec.train_augmentation for job in jobs if job.spec.backbone == "b"} == {"blur"}


def test_backbones_side_by_side_lack_what_one_of_them_lacks(world):
    table = world.bank["a", "none"]
    ids = table.sample_ids
    shuffled = np.random.default_rng(0).permutation(len(ids))[:-1]
    lost = next(one for one in ids if one not in set(ids[shuffled]))
    both = concatenate([table, FeatureTable(ids[shuffled], -table.X[shuffled], {lost: "truncated"})])
    assert both.X.shape == (len(ids) - 1, 16)
    np.testing.assert_array_equal(both.X[:, :8], -both.X[:, 8:])
    assert both.failed == {lost: "truncated"}


def test_combinations_are_found_by_label_or_name_and_unknown_ones_named():
    class Set:
        def __init__(self, augmentation, backbone):
            self.dataset, self.augmentation_name, self.backbone_label = "a", augmentation, backbone
            self.folder = f"features/a/{augmentation}/{backbone}"

    sets = [Set("none", "clip.openai"), Set("none", "dino"), Set("blur", "dino")]
    found = vector_sets(sets, [("clip", "dino")])
    assert list(found) == ["clip.openai", "dino", "clip.openai+dino"]
    (joined,) = found["clip.openai+dino"]
    assert joined.folders == ("features/a/none/clip.openai", "features/a/none/dino")
    with pytest.raises(UnknownNameError, match="no backbone with features named 'clap'"):
        vector_sets(sets, [("clap", "dino")])


def test_a_reducer_that_can_not_be_fitted_fails_its_cells_alone(world, stored):
    grid = GridSpec.model_validate(GRID.model_dump() | {"reducers": ["none", "pca(components=50)"]})
    shared = bench(world, stored, grid)
    done = {part[0].spec.reducer.name: fit_and_score(shared, part) for part in bundles(plan(world, stored, grid), 1)}
    assert done["none"].scored == 2
    assert len(done["pca"].failed) == 2
    assert "pca(components=50) can't be fitted" in done["pca"].failed[0][1]


def test_scores_that_are_none_fail_their_cell(world, stored, monkeypatch):
    original = module.score_group

    def breaking(models, X):
        return [score * np.nan if len(models[0].classes_) and hasattr(models[0], "coef_") else score
                for score in original(models, X)]  # fmt: skip

    monkeypatch.setattr(module, "score_group", breaking)
    (part, *_) = bundles(plan(world, stored), workers=1)
    done = fit_and_score(bench(world, stored), part)
    assert done.scored == 1
    assert "scores that are not within [0, 1], the first nan" in done.failed[0][1]


def test_augmentations_without_training_rows_and_datasets_of_other_backbones_are_no_part_of_the_grid(world, stored):
    store, sets = stored
    world.frame = world.frame.assign(augmentation=None)
    trained = (world.frame["split"] == "train") & (world.frame["dataset"] == "a")
    world.frame.loc[trained, "augmentation"] = "blur"
    only_a = [one for one in sets["b"] if one.dataset == "a"]
    grid = GRID.model_copy(update={"protocol": ProtocolSpec(train_augmentations="all")})
    jobs = plan(world, (store, {"b": only_a}), grid)
    assert {(job.spec.train_dataset, job.spec.train_augmentation) for job in jobs} == {("a", "blur")}
    shared = Bench(store, Samples(world.frame), load_bank(store, only_a), grid.protocol)
    done = [fit_and_score(shared, part) for part in bundles(jobs, 1)]
    assert all(not one.failed for one in done)
    assert set(scores(stored, jobs[:1]).popitem()[1]["test_dataset"]) == {"a"}
