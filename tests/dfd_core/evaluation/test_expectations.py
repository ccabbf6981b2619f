import numpy as np
import pandas as pd
import pytest

from dfd_core.errors import ConfigError
from dfd_core.evaluation.expectations import (
    Expectations,
    check,
    dump_expectations,
    expectations_of,
    load_expectations,
)


def row(**changes):
    values = {
        "run": "r", "backbone": "clip", "reducer": "none", "classifier": "logistic_regression", "seed": 0,
        "shuffled_labels": False, "train_generator": "progan", "test_generator": "cyclegan", "threshold_policy": "0.5",
        "metric": "accuracy", "value": 0.837, "note": "",
    }  # fmt: skip
    return {**values, **changes}


@pytest.fixture
def results():
    return pd.DataFrame(
        [
            row(),
            row(metric="auroc", threshold_policy=None, value=0.9),
            row(test_generator="biggan", value=0.764),
            row(test_generator="ldm", value=None, note="only 3 real, fewer than 10"),
            row(classifier="nearest_neighbour", value=0.7),
            row(run="again", test_generator="biggan", value=0.764),
        ]
    )


def outcomes(results, *expected, **more):
    return check(results, Expectations.model_validate({"expectations": list(expected), **more}))


ACCURACY = {"test_generator": "cyclegan", "classifier": "logistic_regression", "metric": "accuracy"}


@pytest.mark.parametrize(
    ("expected", "status"),
    [
        ({"value": 0.837}, "ok"),
        ({"value": 0.84, "tolerance": 0.003}, "ok"),
        ({"value": 0.84, "tolerance": 0.0029}, "outside"),
        ({"value": 0.834, "tolerance": 0.003}, "ok"),
        ({"value": 0.83, "tolerance": 0.003}, "outside"),
        ({"value": 83.7, "tolerance": 1}, "outside"),
        ({"min": 0.837}, "ok"),
        ({"min": 0.838}, "outside"),
        ({"max": 0.836}, "outside"),
        ({"min": 0.8, "max": 0.9}, "ok"),
    ],
)
def test_a_result_stays_in_its_tolerance_or_not(results, expected, status):
    (one,) = outcomes(results, {"where": ACCURACY, **expected})
    assert (one.status, one.found) == (status, 0.837)
    assert bool(one.message) == (status != "ok")


def test_tolerance_and_columns_of_the_file_hold_where_none_is_stated(results):
    found = outcomes(
        results,
        {"where": {"metric": "accuracy"}, "value": 0.84},
        {"where": {"metric": "accuracy", "test_generator": "biggan"}, "value": 0.77},
        {"where": {"metric": "accuracy", "classifier": "nearest_neighbour"}, "value": 0.71, "tolerance": 0},
        tolerance=0.01,
        where={"test_generator": "cyclegan", "classifier": "logistic_regression"},
    )
    assert [one.status for one in found] == ["ok", "ok", "outside"]
    assert found[0].low, found[0].high == (0.83, 0.85)


def test_what_is_missing_says_why(results):
    found = outcomes(
        results,
        {"where": {**ACCURACY, "test_generator": "cyclgan"}, "value": 1},
        {"where": {**ACCURACY, "test_generator": "ldm"}, "value": 1},
        {"where": {"classifier": "nearest_neighbour", "test_generator": "biggan"}, "value": 1},
        {"where": {**ACCURACY, "calibration": "none"}, "value": 1},
    )
    assert [one.status for one in found] == ["missing"] * 4
    assert [one.message for one in found] == [
        "no row has test_generator 'cyclgan'; there are cyclegan",
        "the row has no value: only 3 real, fewer than 10",
        "no row has all of these values together",
        "the results have no column calibration",
    ]


def test_several_rows_are_fine_where_they_agree_and_ambiguous_where_not(results):
    found = outcomes(
        results,
        {"where": {"test_generator": "biggan"}, "value": 0.764},
        {"where": {"test_generator": "cyclegan", "metric": "accuracy"}, "value": 0.837},
        {"where": {"classifier": "logistic_regression", "metric": "accuracy", "run": "r"}, "value": 0.837},
    )
    assert [one.status for one in found] == ["ok", "ambiguous", "ambiguous"]
    assert found[1].message == "2 rows have different values, from 0.7000 to 0.8370; say which by classifier"
    agreeing = results.assign(value=[0.5, 0.5, 0.5, None, 0.5, 0.5])
    (one,) = outcomes(agreeing, {"where": {"classifier": "logistic_regression"}, "value": 0.5})
    assert one.status == "ambiguous"  # one of the rows could not be measured


def test_nothing_numbers_and_truths_are_selected_as_what_they_are(results):
    found = outcomes(
        results,
        {"where": {"threshold_policy": None}, "value": 0.9},
        {"where": {**ACCURACY, "threshold_policy": 0.5, "seed": 0, "shuffled_labels": False}, "value": 0.837},
        {"where": {**ACCURACY, "seed": 1}, "value": 0.837},
        {"where": {**ACCURACY, "shuffled_labels": True}, "value": 0.837},
    )
    assert [one.status for one in found] == ["ok", "ok", "missing", "missing"]


def test_what_is_written_of_results_is_fulfilled_by_them_and_by_their_csv(results, tmp_path):
    once = results[results["run"] == "r"]
    made, left_out = expectations_of(once, 0.01)
    assert (len(made.expectations), left_out) == (4, 1)
    assert made.where["backbone"] == "clip"
    path = tmp_path / "e.yaml"
    path.write_text(dump_expectations(made))
    assert load_expectations(path) == made
    assert [one.status for one in check(once, made)] == ["ok"] * 4
    once.to_csv(tmp_path / "r.csv", index=False)
    again = pd.read_csv(tmp_path / "r.csv", keep_default_na=False, na_values=[""])
    assert [one.status for one in check(again, made)] == ["ok"] * 4
    worse = once.assign(value=once["value"] - 0.011)
    assert [one.status for one in check(worse, made)] == ["outside"] * 4
    slightly = once.assign(value=once["value"] - 0.01)
    assert [one.status for one in check(slightly, made)] == ["ok"] * 4
    with pytest.raises(ConfigError, match=r"Several rows .*biggan.* 0.764 and 0.7"):
        expectations_of(results.assign(value=[0.8, 0.9, 0.764, None, 0.7, 0.7]), 0.01)
    with pytest.raises(ConfigError, match="None of the 6 rows"):
        expectations_of(results.assign(value=np.nan), 0.01)


WRONG = {
    "expectations: [{where: {metrik: accuracy}, value: 1}]": r"expectations.0.where: .*'metrik'. Did you mean 'metric'",
    "expectations: [{where: {}, valu: 1}]": r"expectations.0.valu: .*Did you mean 'value'",
    "expectation: []": r"expectation: .*Did you mean 'expectations'",
    "expectations: []": r"expectations: .*at least 1",
    "expectations: [{where: {}, value: 1, min: 0}]": r"expectations.0: give either `value` or",
    "expectations: [{where: {}}]": r"give either",
    "expectations: [{where: {}, min: 0, tolerance: 1}]": r"belongs to `value`",
    "expectations: [{where: {}, min: 1, max: 0}]": r"min 1.0 is above max 0.0",
    "expectations: [{where: {}, value: .nan}]": r"expectations.0.value: .*finite",
    "expectations: [{where: {}, value: 1, tolerance: -1}]": r"expectations.0.tolerance: .*greater",
    "expectations: [{where: {}, value: 1}, {where: {}, value: 2}]": r"expectations 0 and 1 are of the same row",
    "tolerance: 1\ntolerance: 2": r"the key 'tolerance' stands twice",
    "a: [": r"not valid YAML",
    "7": r"must hold keys and values, it holds a single value",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_wrong_files_say_where_and_what_would_be_right(text, tmp_path):
    path = tmp_path / "e.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=WRONG[text]):
        load_expectations(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="--write"):
        load_expectations(tmp_path / "none.yaml")


def test_what_is_written_is_exact():
    many = pd.DataFrame([row(test_generator=f"g{i}", value=i / 3000) for i in range(3000)])
    made, _ = expectations_of(many, 0)
    assert {one.status for one in check(many, made)} == {"ok"}
