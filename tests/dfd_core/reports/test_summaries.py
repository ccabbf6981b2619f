"""Tables of results: means, intervals, thresholds, metadata, published columns."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dfd_core.evaluation import RESULTS_SCHEMA, matrices
from dfd_core.evaluation.matrices import tidy
from dfd_core.reports import matrix_tables, summary_table
from dfd_core.reports.accuracy import accuracy_tables
from dfd_core.reports.selection import select
from dfd_core.reports.shortcuts import with_metadata
from dfd_core.reports.tables import percent


def only(results, **values):
    frame = results.to_pandas()
    for column, value in values.items():
        frame = frame[frame[column].isin(value if isinstance(value, (list, tuple)) else [value])]
    return pa.Table.from_pandas(frame, schema=results.schema, preserve_index=False)


def column(table, name):
    return [row[table.header.index(name)] for row in table.rows]


def first(cell):
    return float(cell.replace("⚠", "").split()[0])


def test_a_matrix_has_values_with_intervals_n_and_means(report):
    names = ["logistic_regression", "nearest_neighbour"]
    some = only(report.results, backbone="CLIP", classifier=names, test_augmentation="none", threshold_policy="0.5")
    one, two = matrices(some, "accuracy")
    assert (one.group["classifier"], two.group["classifier"]) == ("logistic_regression", "nearest_neighbour")
    table = matrix_tables(some, "accuracy")[0]
    assert table.header == ("trained on", "<b>gan|</b>", "stylegan_2", "ldm", "mean of unseen")
    low, value, high = one.low[0, 1], one.values[0, 1], one.high[0, 1]
    assert table.rows[0][2] == f"{percent(value)} [{percent(low)}, {percent(high)}] (60)"
    assert table.rows[0][4] == percent(one.values[0, 1:].mean())
    np.testing.assert_array_equal(one.seen, np.eye(3, dtype=bool))
    assert "threshold 0.5" in one.title()


def test_thresholds_protocols_and_calibrations_have_matrices_of_their_own(report):
    some = only(report.results, detector=["CLIP/none/logistic_regression/sim/ldm/none"], test_augmentation="none")
    frame = some.to_pandas()
    left = frame.assign(protocol="leave_one_generator_out", train_generator="all but ldm", train_family="mixed")
    more = pd.concat([frame, left, frame.assign(calibration="platt")])
    found = matrices(pa.Table.from_pandas(more, schema=report.results.schema, preserve_index=False), "accuracy")
    assert len(found) == 3 * 4
    titles = [one.title() for one in found]
    assert sum("leave one generator out" in title for title in titles) == 4
    assert sum("calibration platt" in title for title in titles) == 4
    assert sum("oracle (chosen on the test set)" in title for title in titles) == 3
    assert matrices(some, "auroc")[0].group["threshold_policy"] == "None"


def test_reals_of_a_source_and_pooled_generators_are_in_no_mean(report):
    frame = only(report.results, backbone="CLIP", classifier="logistic_regression").to_pandas()
    pooled = frame[frame["test_generator"] == "ldm"].assign(test_generator="all", test_family="mixed", value=0.0)
    pooled["seen"] = False
    results = pa.Table.from_pandas(pd.concat([frame, pooled]), schema=report.results.schema, preserve_index=False)
    before = only(report.results, backbone="CLIP", classifier="logistic_regression")
    assert summary_table(results) == summary_table(before)
    (matrix, *_) = matrices(results, "auroc")
    assert [side.generator for side in matrix.columns] == ["<b>gan|</b>", "stylegan_2", "ldm", "all"]
    np.testing.assert_array_equal(matrix.mean_of_others(), matrices(before, "auroc")[0].mean_of_others())


def test_the_summary_has_a_row_for_each_threshold_and_averages_over_training_sets(report):
    some = only(report.results, backbone="CLIP", classifier="logistic_regression")
    whole, each = summary_table(some), summary_table(some, by_training_set=True)
    assert column(whole, "threshold")[:4] == ["0.5", "fpr_1pct", "validation", "oracle †"]
    assert len(each.rows) == 3 * len(whole.rows) == 3 * 4 * 4
    assert column(each, "trained on")[:3] == ["<b>gan|</b>", "stylegan_2", "ldm"]
    for name in ("acc", "AUROC"):
        mean = np.mean([first(cell) for cell in column(each, name)[:3]])
        assert first(column(whole, name)[0]) == pytest.approx(mean, abs=0.1)
    assert column(whole, "n")[0] == str(3 * 2 * 60)
    assert any("chosen on the test set" in note for note in whole.notes)
    assert not any("chosen on" in note for note in summary_table(only(some, threshold_policy="0.5")).notes)


def test_the_interval_of_a_mean_has_the_mean_ends_and_none_where_one_is_missing(report):
    some = only(report.results, backbone="CLIP", classifier="logistic_regression", test_augmentation="none")
    frame = tidy(some, "auroc")
    frame = frame[~frame["seen"] & (frame["train_generator"] == "ldm")]
    cell = column(summary_table(some, by_training_set=True), "AUROC")[2]
    assert cell == f"{percent(frame['value'].mean())} [{percent(frame['low'].mean())}, {percent(frame['high'].mean())}]"
    lost = some.to_pandas()
    lost.loc[(lost["metric"] == "auroc") & (lost["test_generator"] == "stylegan_2"), ["low", "high"]] = None
    without = pa.Table.from_pandas(lost, schema=some.schema, preserve_index=False)
    assert column(summary_table(without, by_training_set=True), "AUROC")[2] == percent(frame["value"].mean())


def test_the_summary_does_not_depend_on_the_order_of_results(report):
    backwards = report.results.take(pa.array(range(report.results.num_rows - 1, -1, -1)))
    assert summary_table(backwards) == summary_table(report.results)


def test_one_detector_without_other_generators_has_dashes(report):
    table = summary_table(only(report.results, test_generator="ldm", train_generator="ldm", backbone="CLIP"))
    place = table.header.index("acc seen")
    assert table.rows[0][place][0].isdigit()
    assert set(table.rows[0][place + 1 : -1]) == {"–"}


def test_results_of_earlier_versions_can_be_read(report):
    old = only(report.results, backbone="CLIP", threshold_policy=["0.5", None]).drop(
        ["protocol", "seen", "family_seen", "calibration", "threshold", "low", "high", "status"]
    )
    new = only(report.results, backbone="CLIP", threshold_policy=["0.5", None])
    assert set(old.column_names) <= set(RESULTS_SCHEMA.names) | set(report.results.column_names)
    before, after = matrices(old, "accuracy"), matrices(new, "accuracy")
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.seen, other.seen)
    assert "[" not in "".join(column(summary_table(old), "acc"))


def test_metadata_stand_beside_each_detector_in_the_same_cells(report):
    frame = tidy(report.results, "balanced_accuracy")
    found = with_metadata(frame)
    probe = frame[frame["backbone"] == "metadata"]
    row = found[(found["backbone"] == "CLIP") & (found["threshold_policy"] == "validation")].iloc[5]
    same = ["train_generator", "test_generator", "test_augmentation", "threshold_policy"]
    (expected,) = probe[(probe[same] == row[same]).all(axis=1)]["value"]
    assert row["metadata"] == expected
    assert found.loc[found["backbone"] == "metadata", "metadata"].isna().all()
    table = summary_table(report.results, metrics=("balanced_accuracy",))
    spectrum = [row for row in table.rows if row[0] == "spectrum" and row[2] == "none → none" and row[3] == "0.5"]
    assert all(row[table.header.index("metadata")].startswith("⚠ ") for row in spectrum)
    assert "metadata" not in summary_table(only(report.results, backbone="CLIP")).header


def test_a_probe_that_was_not_tested_on_an_augmentation_stands_with_its_value_on_unchanged_images(report):
    frame = tidy(report.results, "balanced_accuracy")
    probed = (frame["backbone"] != "metadata") | (
        (frame["test_augmentation"] == "none") & (frame["threshold_policy"] == "0.5")
    )
    found = with_metadata(frame[probed])
    own = found[(found["backbone"] == "CLIP") & (found["train_generator"] == "ldm")]
    assert own.groupby("test_generator")["metadata"].nunique().eq(1).all()
    assert own["metadata"].notna().all()


def test_of_several_probes_the_strongest_stands(report):
    frame = tidy(report.results, "balanced_accuracy")
    weak = frame[frame["backbone"] == "metadata"].assign(classifier="weak", value=0.5)
    pd.testing.assert_series_equal(
        with_metadata(pd.concat([weak, frame]))["metadata"].iloc[len(weak) :].reset_index(drop=True),
        with_metadata(frame)["metadata"],
    )


def test_accuracy_tables_have_data_set_accuracy_and_published(report):
    names = ["logistic_regression", "nearest_neighbour", "tree"]
    some = only(report.results, backbone=["CLIP", "metadata"], classifier=names, test_augmentation="none")
    tables = accuracy_tables(tidy(some), report.published)
    assert len(tables) == 2 * 3
    (table,) = [t for t in tables if "sim/ldm" in t.caption and "logistic" in t.caption]
    assert table.header == ("dataset", "accuracy", "n", "metadata", "published: UnivFD", "published: NPR")
    assert column(table, "dataset") == ["<b>gan|</b>", "stylegan_2", "ldm (trained on)", "mean of unseen"]
    assert column(table, "published: UnivFD") == ["–", "84.0", "81.4", "–"]
    assert column(table, "published: NPR") == ["–", "–", "92.0", "–"]
    assert any("Some & Others, table 3; other reals" in note for note in table.notes)
    assert not any("Nobody" in note for note in table.notes)
    mean = np.mean([first(cell) for cell in column(table, "accuracy")[:2]])
    assert first(column(table, "accuracy")[3]) == pytest.approx(mean, abs=0.1)
    assert column(table, "n")[3] == "120"
    assert len({table.name for table in tables}) == 6


def test_what_is_drawn_is_chosen_on_validation_samples_and_not_by_tests(report):
    frame = tidy(report.results)
    chosen = select(frame, report.scores, report.frame)
    assert len(chosen.keys) == 3
    assert "validation" in chosen.how
    assert "metadata" not in {key[0] for key in chosen.keys}
    spoiled = frame.assign(value=np.where(frame["backbone"] == "CLIP", 0.0, 1.0))
    assert select(spoiled, report.scores, report.frame).keys == chosen.keys
    swapped = {name: one.assign(score=1 - one["score"]) for name, one in report.scores.items()}
    assert select(frame, swapped, report.frame).keys != chosen.keys
    by_name = select(frame, {}, report.frame)
    assert "by name" in by_name.how
    assert [key[:3] for key in by_name.keys] == [
        ("CLIP", "none", "logistic_regression"), ("CLIP", "none", "mlp"), ("CLIP", "none", "nearest_neighbour"),
    ]  # fmt: skip
    alone = frame[frame["backbone"] == "metadata"]
    assert select(alone, {}, report.frame).keys[0][0] == "metadata"
