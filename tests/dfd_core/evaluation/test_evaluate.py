"""From rows to results: training rows, scores, metrics, matrices."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from dfd_core.detectors import DetectorSpec, fit
from dfd_core.errors import EvaluationError
from dfd_core.evaluation import (
    METRICS,
    RESULTS_SCHEMA,
    SCORES_SCHEMA,
    EvaluationSpec,
    ProtocolSpec,
    Rules,
    Samples,
    evaluate,
    matrices,
    score_detector,
    training_rows,
)
from dfd_core.evaluation.bootstrap import BootstrapSpec
from dfd_core.evaluation.scoring import summary_of
from dfd_core.features.table import FeatureTable
from dfd_core.storage import Store

PROTOCOL = ProtocolSpec()
PLAIN = EvaluationSpec(thresholds=("0.5",), calibrations=("none",), bootstrap=BootstrapSpec(replicates=50))
ALWAYS = len(METRICS) - 1  # the false-positive rate is of sources, not of test sets


def rules(frame, protocol=PROTOCOL, evaluation=PLAIN):
    return Rules(Samples(frame, protocol.pairing), protocol, evaluation, run="run")


def spec(**fields):
    given = {"train_dataset": "a", "train_generator": "progan", "backbone": "b", "classifier": "logistic_regression"}
    return DetectorSpec(**(given | fields))


def run(world, protocol=PROTOCOL, evaluation=PLAIN, **fields):
    one = spec(**fields)
    given = rules(world.frame, protocol, evaluation)
    detector = fit(one, *training_rows(one, given.samples, world.bank))
    scores = score_detector(detector, world.bank, given.samples, protocol)
    return scores, evaluate(scores, given)


def cell(results, generator, metric="accuracy", augmentation="none"):
    frame = results.to_pandas()
    chosen = (
        (frame["test_generator"] == generator)
        & (frame["metric"] == metric)
        & (frame["test_augmentation"] == augmentation)
    )
    (index,) = np.flatnonzero(chosen)
    return results.slice(index, 1).to_pylist()[0]


def without(world, sample_id, status="truncated"):
    """The world after a sample's extraction failed everywhere."""
    for key, table in world.bank.items():
        keep = table.sample_ids != sample_id
        if not keep.all():
            world.bank[key] = FeatureTable(table.sample_ids[keep], table.X[keep], {**table.failed, sample_id: status})


def first(world, dataset, generator, split, n=1):
    frame = world.frame
    chosen = (frame["dataset"] == dataset) & (frame["generator"] == generator) & (frame["split"] == split)
    return frame[chosen].index[:n]


def test_a_hidden_trace_is_found_on_every_other_generator(world):
    scores, results = run(world)
    assert scores.schema.equals(SCORES_SCHEMA)
    assert results.schema.equals(RESULTS_SCHEMA)
    assert results.num_rows == 2 * (3 * ALWAYS + 3)
    rows = results.to_pandas()
    assert rows.loc[[METRICS[name].higher_is_better for name in rows["metric"]], "value"].min() > 0.9
    assert (rows["low"] <= rows["value"] + 1e-12).all()
    assert (rows["value"] <= rows["high"] + 1e-12).all()
    ldm = cell(results, "ldm")
    assert (ldm["n"], ldm["n_real"], ldm["n_fake"], ldm["reals"]) == (60, 40, 20, "laion+progan")
    assert cell(results, "ldm", "accuracy_fake")["n"] == 20
    assert (ldm["train_family"], ldm["test_family"], ldm["threshold_policy"]) == ("gan", "diffusion", "0.5")
    assert cell(results, "ldm", "auroc")["threshold_policy"] is None
    assert cell(results, "progan")["reals"] == "progan"
    assert (ldm["n_train_real"], ldm["n_train_fake"], ldm["n_failed"], ldm["n_excluded"]) == (40, 40, 0, 0)


def test_every_sample_is_scored_once_although_it_serves_several_pairs(world):
    scores, _ = run(world)
    frame = scores.to_pandas()
    assert not frame.duplicated(["test_dataset", "test_augmentation", "sample_id"]).any()
    assert (frame["split"] == "test").sum() == 2 * (world.frame["split"] == "test").sum()
    held_out = frame[frame["split"] == "validation"]
    assert set(held_out["sample_id"]) == set(
        world.frame.loc[first(world, "a", "progan", "validation", 9), "sample_id"]
    ) | set(world.frame.query("source == 'progan' and split == 'validation'")["sample_id"])


def test_values_are_those_of_the_stored_scores(world, tmp_path):
    scores, results = run(world)
    store = Store(tmp_path)
    store.write_table("scores.parquet", scores, {"seconds": 1})
    stored = store.read_table("scores.parquet")
    assert evaluate(stored, rules(world.frame)).equals(results)
    rows = world.frame[(world.frame["dataset"] == "b") & (world.frame["split"] == "test")]
    by_sample = (
        stored.to_pandas().query("test_augmentation == 'blur' and split == 'test'").set_index("sample_id")["score"]
    )
    expected = roc_auc_score(rows["label"], by_sample[rows["sample_id"]])
    assert cell(results, "glide", "auroc", "blur")["value"] == expected


def test_shuffled_labels_are_marked(world):
    _, results = run(world, shuffle_labels=True, seed=3)
    assert set(results["shuffled_labels"].to_pylist()) == {True}
    assert set(results["seed"].to_pylist()) == {3}
    assert "control: shuffled labels" in matrices(results, "auroc")[0].title()


def test_the_same_again_gives_the_same_whatever_the_order_of_rows(world):
    scores, results = run(world)
    world.frame = world.frame.sample(frac=1, random_state=0)
    for key, table in world.bank.items():
        order = np.random.default_rng(0).permutation(len(table.X))
        world.bank[key] = FeatureTable(table.sample_ids[order], table.X[order], {})
    again, results_again = run(world)
    assert again.equals(scores)
    assert results_again.equals(results)


def test_failed_samples_are_counted_and_not_scored(world):
    for generator, split in (("ldm", "test"), ("progan", "train")):
        without(world, world.frame.loc[first(world, "a", generator, split)[0], "sample_id"])
    scores, results = run(world)
    assert sorted(set(scores["status"].to_pylist())) == ["ok", "truncated"]
    assert scores["score"].null_count == 2
    ldm = cell(results, "ldm")
    assert (ldm["n_failed"], ldm["n_fake"], ldm["n_excluded"], ldm["n_train_fake"]) == (1, 19, 0, 39)
    assert ldm["note"] == "training files without a vector: 1"
    assert cell(results, "progan")["n_failed"] == 0


def test_test_samples_that_were_trained_on_are_excluded_and_counted(world):
    train, test = first(world, "a", "progan", "train", 2), first(world, "b", "glide", "test", 2)
    world.frame.loc[test, "sample_id"] = world.frame.loc[train, "sample_id"].to_numpy()
    both = world.frame.loc[train, "sample_id"].to_numpy()
    for augmentation in ("none", "blur"):
        source, target = world.bank["a", augmentation], world.bank["b", augmentation]
        X = np.concatenate([target.X, source.X[source.rows(both)[0]]])
        world.bank["b", augmentation] = FeatureTable(np.concatenate([target.sample_ids, both]), X, {})
    _, results = run(world)
    glide = cell(results, "glide")
    assert (glide["n_excluded"], glide["n_fake"], glide["n_failed"]) == (2, 18, 0)
    assert cell(run(world, train_generator="ldm")[1], "glide")["n_excluded"] == 0


def test_test_samples_of_a_trained_group_are_excluded_in_the_same_dataset_only(world):
    train = world.frame.loc[first(world, "a", "progan", "train")[0], "group"]
    world.frame.loc[first(world, "a", "ldm", "test", 3), "group"] = train
    world.frame.loc[first(world, "b", "glide", "test", 3), "group"] = train
    _, results = run(world)
    assert cell(results, "ldm")["n_excluded"] == 3
    assert cell(results, "ldm")["n_fake"] == 17
    assert cell(results, "glide")["n_excluded"] == 0


def test_a_cell_that_can_not_be_measured_is_a_row_that_says_so(world):
    frame = world.frame
    world.frame = frame[~((frame["dataset"] == "b") & (frame["label"] == 0) & (frame["split"] == "test"))]
    _, results = run(world)
    impossible = cell(results, "glide", "auroc")
    assert impossible["value"] is None
    assert impossible["note"] == "only 0 real, fewer than 2"
    assert cell(results, "glide", "accuracy_fake")["value"] > 0.9
    (matrix, _) = matrices(results, "auroc")
    assert np.isnan(matrix.values).sum() == 1


def test_nothing_to_measure_at_all_is_an_error(world):
    with pytest.raises(EvaluationError, match=r"Nothing could be measured .* fewer than 1000"):
        run(world, ProtocolSpec(min_samples_per_class=1000))
    train_only = world.frame[world.frame["split"] == "train"]
    world.frame = train_only
    with pytest.raises(EvaluationError, match="nothing to score"):
        run(world)


def test_features_that_were_never_extracted_are_an_error(world):
    table = world.bank["b", "blur"]
    world.bank["b", "blur"] = FeatureTable(table.sample_ids[:-1], table.X[:-1], {})
    blurred = spec(train_dataset="b", train_generator="glide", train_augmentation="blur")
    with pytest.raises(EvaluationError, match="b/blur/b lack 1 samples"):
        training_rows(blurred, Samples(world.frame), world.bank)
    del world.bank["b", "blur"], world.bank["b", "none"]
    assert set(run(world)[1]["test_dataset"].to_pylist()) == {"a"}  # imported datasets may lack a backbone
    detector = fit(spec(), *training_rows(spec(), Samples(world.frame), world.bank))
    with pytest.raises(EvaluationError, match="no features of b for the test sets a, b"):
        score_detector(detector, {}, Samples(world.frame), PROTOCOL)


def test_the_manifest_of_the_training_set_is_needed(world):
    scores, _ = run(world)
    only_b = world.frame[world.frame["dataset"] == "b"]
    detector = fit(spec(), *training_rows(spec(), Samples(world.frame), world.bank))
    with pytest.raises(EvaluationError, match="seen"):
        score_detector(detector, world.bank, Samples(only_b), PROTOCOL)
    with pytest.raises(EvaluationError, match="no rows in split train"):
        training_rows(spec(), Samples(only_b), world.bank)
    with pytest.raises(EvaluationError, match="lack the training set"):
        evaluate(scores, rules(only_b))


def test_scores_of_an_older_manifest_or_of_nobody_are_refused(world):
    scores, _ = run(world)
    new = world.frame[world.frame["split"] == "test"].head(1).assign(sample_id="new", path="new", group="new")
    with pytest.raises(EvaluationError, match="score again"):
        evaluate(scores, rules(pd.concat([world.frame, new])))
    with pytest.raises(EvaluationError, match="which detector"):
        summary_of(scores.replace_schema_metadata(None))


def test_matrices_put_families_together_and_average_over_the_unseen(world):
    parts = [
        run(world, train_dataset=d, train_generator=g)[1] for d, g in (("a", "ldm"), ("a", "progan"), ("b", "glide"))
    ]
    results = pa.concat_tables(parts)
    none, blur = matrices(results, "accuracy")
    assert (none.group["test_augmentation"], blur.group["test_augmentation"]) == ("none", "blur")
    assert [side.generator for side in none.rows] == ["progan", "ldm", "glide"]
    assert none.labels()[0] == ["a/progan", "a/ldm", "b/glide"]
    assert none.rows == none.columns
    np.testing.assert_array_equal(none.seen, np.eye(3, dtype=bool))
    np.testing.assert_allclose(none.mean_of_others(), (none.values.sum(axis=1) - np.diag(none.values)) / 2)
    assert none.n[0].tolist() == [40, 60, 40]
    with pytest.raises(EvaluationError, match="don't mix runs"):
        matrices(pa.concat_tables([*parts, parts[0]]), "accuracy")
