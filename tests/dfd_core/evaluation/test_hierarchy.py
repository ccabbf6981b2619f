from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dfd_core.classifiers import CLASSIFIERS
from dfd_core.detectors.hierarchy_rows import HierarchyRows
from dfd_core.detectors.hierarchy_spec import LEVELS, REAL, UNKNOWN, HierarchySpec
from dfd_core.errors import EvaluationError
from dfd_core.evaluation.hierarchy import HierarchyResult, evaluate_hierarchy, fit_and_evaluate_hierarchy
from dfd_core.evaluation.hierarchy_measures import Resampling
from dfd_core.storage import Store

FEATURES = Path(__file__).resolve().parents[4] / "shared" / "data" / "reference_features"
TRAINED = {"a1": "gan", "a2": "gan", "a3": "gan", "b1": "diffusion", "b2": "diffusion", "b3": "diffusion"}
UNSEEN = {"a4": "gan", "c1": "autoregressive"}
AXES = [*TRAINED, *UNSEEN]


def rows(generators, seed=0, n=60, apart=7.0):
    """Clusters: all generated ones apart from the reals, families and generators apart from each other.

    A generator of a known family stands where its family does, but on no sibling's axis; an unknown family on the
    common axis only.
    """
    rng = np.random.default_rng(seed)
    names = np.repeat([REAL, *generators], n).astype(object)
    family = np.array([generators.get(one, REAL) for one in names], dtype=object)
    label = (names != REAL).astype(np.int8)
    X = rng.normal(size=(len(names), 12))
    X[:, 0] += apart * label
    X[:, 1] += apart * (family == "gan")
    X[:, 2] += apart * (family == "diffusion")
    for place, one in enumerate(TRAINED):
        X[names == one, 3 + place] += apart
    ids = np.array([f"{seed}-{name}-{i:03d}" for i, name in enumerate(names)], dtype=object)
    order = rng.permutation(len(names))
    found = HierarchyRows(X.astype(np.float32), label, family, names, ids, ids)
    return chosen(found, order)


def chosen(one, places):
    return HierarchyRows(*(getattr(one, name)[places] for name in HierarchyRows.__dataclass_fields__))


def spec(classifier="logistic_regression", **fields):
    return HierarchySpec(name="h", default={"classifier": classifier}, **fields)


def values(result, test="test"):
    return {
        (one["level"], one["scope"], one["generators"], one["metric"]): one["value"]
        for one in result.table.to_pylist() if one["test"] == test
    }  # fmt: skip


def unknown_share(result, level):
    """By generator."""
    said = result.predictions.to_pandas()
    return (said[level] == UNKNOWN).groupby(said["sample_id"].str.split("-").str[1]).mean()


class Bootstrap:
    """Groups drawn with replacement, 200 times."""

    def __init__(self, label, group):
        names, self.column = np.unique(group, return_inverse=True)
        self.n_groups = len(names)

    def blocks(self):
        rng = np.random.default_rng(0)
        for _ in range(2):
            drawn = rng.integers(self.n_groups, size=(100, self.n_groups))
            yield np.array([np.bincount(one, minlength=self.n_groups) for one in drawn])


each = pytest.mark.parametrize("classifier", list(CLASSIFIERS))


@each
def test_what_can_be_told_apart_is_and_strange_generators_are_unknown_more_often(classifier):
    tests = {"test": rows(TRAINED | UNSEEN, 1, n=100)}
    result = fit_and_evaluate_hierarchy(spec(classifier), rows(TRAINED, n=200), tests)
    found = values(result)
    for level in LEVELS:
        for scope in ("level", "end_to_end"):
            assert found[level, scope, "seen", "balanced_accuracy"] > 0.85, (level, scope)
            assert found[level, scope, "seen", "accuracy_answered"] > 0.93, (level, scope)
    lost = unknown_share(result, "generator")
    assert lost["a4"] > lost[list(TRAINED)].max() + 0.2


@pytest.mark.parametrize("classifier", ["logistic_regression", "nearest_neighbour"])
def test_a_strange_family_is_generated_and_unknown_more_often(classifier):
    """Not so of every classifier: a decision tree is always sure, and the nearest known sample may be a real."""
    tests = {"test": rows(TRAINED | UNSEEN, 1, n=100)}
    result = fit_and_evaluate_hierarchy(spec(classifier), rows(TRAINED, n=200), tests)
    lost = unknown_share(result, "family")
    assert lost["c1"] > lost[list(TRAINED)].max() + 0.2
    assert values(result)["real", "end_to_end", "unseen", "accuracy"] > 0.9


def test_shuffled_labels_are_chance():
    """Names are shuffled among all rows: nothing true can be learned at any level."""
    train, test = rows(TRAINED, n=100), rows(TRAINED, 1, n=100)
    means = []
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(len(train.X))
        shuffled = replace(
            train, label=train.label[order], family=train.family[order], generator=train.generator[order]
        )
        found = values(fit_and_evaluate_hierarchy(spec(unknown_below=0), shuffled, {"test": test}))
        means.append([found[level, "level", "seen", "balanced_accuracy"] for level in LEVELS])
    errors = np.std(means, axis=0) / np.sqrt(len(means))
    np.testing.assert_array_less(np.abs(np.mean(means, axis=0) - [1 / 2, 1 / 2, 1 / 3]), 4 * errors + 0.01)


def test_the_order_of_rows_changes_nothing_and_every_time_is_the_same():
    train, test = rows(TRAINED), rows(TRAINED | UNSEEN, 1)
    first = fit_and_evaluate_hierarchy(spec(), train, {"test": test}, Resampling(Bootstrap))
    mixed = (chosen(one, np.random.default_rng(5).permutation(len(one.X))) for one in (train, test))
    own, other = mixed
    again = fit_and_evaluate_hierarchy(spec(), own, {"test": other}, Resampling(Bootstrap))
    assert first.table.equals(again.table)
    assert first.predictions.equals(again.predictions)
    assert [one.as_json() for one in first.confusions] == [one.as_json() for one in again.confusions]


def result_of_known_answers(merge):
    """Everything separable: what is right for strangers is a matter of definition."""
    generators = TRAINED | UNSEEN
    return fit_and_evaluate_hierarchy(
        spec(merge=merge, unknown_below=0.0), rows(TRAINED), {"test": rows(generators, 1)}
    )


def test_confusions_count_every_sample_once_strangers_last():
    result = result_of_known_answers({"b": ["b*"]})
    by_level = {one.level: one for one in result.confusions}
    for one in result.confusions:
        assert one.counts.sum() == 60 * 9
        assert one.columns[0] == (REAL, REAL)
        assert one.columns[-1] == (UNKNOWN, UNKNOWN)
        np.testing.assert_allclose(one.shares().sum(axis=1), 1)
    generator = by_level["generator"]
    assert [name for name, _ in generator.columns] == [REAL, "b", "a1", "a2", "a3", UNKNOWN]
    assert [(row.name, row.seen, row.right) for row in generator.rows] == [
        (REAL, True, REAL), ("b", True, "b"), ("a1", True, "a1"), ("a2", True, "a2"), ("a3", True, "a3"),
        ("c1", False, UNKNOWN), ("a4", False, UNKNOWN),
    ]  # fmt: skip
    assert [(row.name, row.seen, row.right) for row in by_level["family"].rows] == [
        (REAL, True, REAL), ("diffusion", True, "diffusion"), ("gan", True, "gan"),
        ("autoregressive", False, UNKNOWN), ("gan", False, "gan"),
    ]  # fmt: skip
    assert [(row.name, row.seen) for row in by_level["real"].rows] == [
        (REAL, True), ("generated", True), ("generated", False),
    ]  # fmt: skip


def test_a_stranger_of_a_known_subfamily_is_unseen_and_right_as_that_subfamily():
    test = rows({"a1": "gan", "a9": "gan"}, 1)
    result = fit_and_evaluate_hierarchy(spec(merge={"a": ["a*"]}), rows(TRAINED), {"test": test})
    generator = next(one for one in result.confusions if one.level == "generator")
    assert [(row.name, row.seen, row.right) for row in generator.rows][1:] == [("a", True, "a"), ("a9", False, "a")]


def test_measures_are_those_of_the_confusion_and_of_the_predictions():
    result = fit_and_evaluate_hierarchy(
        spec(unknown_below={"real": 0.9}), rows(TRAINED, apart=2), {"test": rows(TRAINED | UNSEEN, 1, apart=2)}
    )
    found, said = values(result), result.predictions.to_pandas()
    made = said["sample_id"].str.split("-").str[1]
    family = made.map(TRAINED).fillna(REAL)
    seen = ~made.isin(UNSEEN)
    right = (said["real"] == np.where(made == REAL, REAL, "generated")) & (said["family"] == family)
    assert found["family", "end_to_end", "seen", "accuracy"] == right[seen].mean()
    assert found["family", "end_to_end", "seen", "unknown"] == (said["family"] == UNKNOWN)[seen].mean()
    assert found["family", "end_to_end", "seen", "balanced_accuracy"] == pytest.approx(
        right[seen].groupby(family[seen]).mean().mean()
    )
    answered = said["family"] != UNKNOWN
    assert found["family", "end_to_end", "seen", "accuracy_answered"] == right[seen & answered].mean()
    for level in LEVELS:  # end to end, a seen sample is right where its row meets its right answer, as the route is one
        one = next(confusion for confusion in result.confusions if confusion.level == level)
        names = [name for name, _ in one.columns]
        right_counts = [count[names.index(row.right)] for row, count in zip(one.rows, one.counts, strict=True)]
        own = [row.seen for row in one.rows]
        share = np.sum(right_counts, where=own) / one.counts[own].sum()
        assert found[level, "end_to_end", "seen", "accuracy"] == pytest.approx(share)


def test_a_mistake_above_is_not_mended_below_but_not_held_against_the_level():
    found = values(
        fit_and_evaluate_hierarchy(spec(unknown_below=0), rows(TRAINED), {"test": rows(TRAINED, 1, apart=2.5)})
    )
    assert found["generator", "end_to_end", "seen", "accuracy"] < found["generator", "level", "seen", "accuracy"]
    assert found["generator", "end_to_end", "seen", "accuracy"] <= found["family", "end_to_end", "seen", "accuracy"]
    assert found["family", "end_to_end", "seen", "accuracy"] <= found["real", "end_to_end", "seen", "accuracy"]


def test_intervals_hold_the_value_and_what_has_no_samples_is_null():
    table = fit_and_evaluate_hierarchy(
        spec(), rows(TRAINED), {"test": rows(TRAINED, 1, apart=3)}, Resampling(Bootstrap)
    ).table.to_pandas()
    assert len(table) == 3 * 2 * 2 * 4
    seen, unseen = (table[table["generators"] == one] for one in ("seen", "unseen"))
    assert (seen["low"] <= seen["value"]).all()
    assert (seen["value"] <= seen["high"]).all()
    wide = seen[(seen["metric"] == "accuracy") & (seen["level"] == "generator")]
    assert (wide["high"] - wide["low"]).between(0.01, 0.2).all()
    assert unseen["value"].isna().all()
    assert (unseen["n"] == 0).all()
    assert (unseen["note"].str.endswith("the test has no such samples")).all()


def test_one_group_has_no_interval():
    test = rows(TRAINED, 1)
    test = replace(test, group=np.array(["all"] * len(test.X)))
    table = fit_and_evaluate_hierarchy(spec(), rows(TRAINED), {"test": test}, Resampling(Bootstrap)).table.to_pandas()
    assert table["low"].isna().all()
    assert table["value"].notna().any()


def test_it_is_kept_and_read_again(tmp_path):
    store, tests = Store(tmp_path), {"test": rows(TRAINED | UNSEEN, 1), "other": rows(TRAINED, 2)}
    result = fit_and_evaluate_hierarchy(spec(), rows(TRAINED), tests)
    result.save(store, "h")
    again = HierarchyResult.load(store, "h")
    assert again.table.equals(result.table)
    assert again.predictions.equals(result.predictions)
    assert again.summary == result.summary
    assert [one.as_json() for one in again.confusions] == [one.as_json() for one in result.confusions]
    assert evaluate_hierarchy(again.hierarchy, tests).table.equals(result.table)


def changed(one, **fields):
    """Rows with the first generated sample of a1 (or, for X, the first row) changed."""
    place = int(np.flatnonzero(one.generator == "a1")[0])
    found = {}
    for name, value in fields.items():
        column = getattr(one, name).copy()
        column[0 if name == "X" else place] = value
        found[name] = column
    return replace(one, **found)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (rows(TRAINED), changed(rows(TRAINED, 1), X=np.nan), r"1 of 420 rows in the test odd of h .* index 0"),
        (changed(rows(TRAINED), X=np.nan), rows(TRAINED, 1), "the training rows of h"),
        (rows(TRAINED), replace(rows(TRAINED, 1), X=rows(TRAINED, 1).X[:, 1:]), "width 12, not 11"),
        (rows(TRAINED), replace(rows(TRAINED, 1), group=np.arange(7)), "420, 420, 420, 420, 7, 420 rows"),
        (rows(TRAINED), changed(rows(TRAINED, 1), label=2), r"labels \[0, 1, 2\]"),
        (rows(TRAINED), rows({"a1": "diffusion"}, 1), "'a1' is of the family 'diffusion' in the test and was of 'gan'"),
        (rows(TRAINED), changed(rows(TRAINED, 1), family="diffusion"), "'a1' belongs to two families"),
        (rows(TRAINED), changed(rows(TRAINED, 1), sample_id="1-real-000"), "stand there twice, the first 1-real-000"),
        (rows(TRAINED), changed(rows(TRAINED, 1), sample_id="0-real-000"), "1 samples of the test odd are among"),
        (rows(TRAINED), changed(rows(TRAINED, 1), group="0-real-000"), "1 groups of the test odd are among"),
        (rows(TRAINED), chosen(rows(TRAINED, 1), []), "has no rows"),
        (rows(TRAINED), changed(rows(TRAINED, 1), group=None), "1 of 420 samples have no group"),
    ],
)
def test_rows_that_can_not_be_used_are_refused(train, test, message):
    with pytest.raises(EvaluationError, match=message):
        fit_and_evaluate_hierarchy(spec(), train, {"odd": test})


def test_subfamilies_are_held_against_the_test_too():
    merge = {"a": ["a*"]}
    for test, message in (({"a9": "diffusion"}, "2 families"), ({"a": "gan"}, None), ({"glide": "gan"}, None)):
        if message is None:
            fit_and_evaluate_hierarchy(spec(merge=merge), rows(TRAINED), {"test": rows(test, 1)})
        else:
            with pytest.raises(EvaluationError, match=message):
                fit_and_evaluate_hierarchy(spec(merge=merge), rows(TRAINED), {"test": rows(test, 1)})
    with pytest.raises(EvaluationError, match="'b' has the name of a generator"):
        fit_and_evaluate_hierarchy(spec(merge={"b": ["b?"]}), rows(TRAINED), {"test": rows({"b": "diffusion"}, 1)})
    with pytest.raises(EvaluationError, match="no test set"):
        fit_and_evaluate_hierarchy(spec(), rows(TRAINED), {})


def test_published_features_are_told_apart_in_halves():
    """CLIP features of four kinds of images, half of each to fit; ProGAN's, in neither half, are strangers."""
    if not FEATURES.is_dir():
        pytest.skip("the reference features are absent")
    table = pq.read_table(FEATURES / "clip_l14_progan_transfer.parquet")
    X = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    frame = table.drop_columns(["embedding"]).to_pandas()
    columns = [frame[name].to_numpy() for name in ("label", "family", "generator", "sample_id", "sample_id")]
    every = HierarchyRows(X.reshape(len(frame), -1), *columns)
    inside = (frame["split"] == "test").to_numpy()
    half = np.random.default_rng(0).random(len(frame)) < 0.5
    stranger = ((frame["dataset"] == "progan") & (frame["label"] == 1)).to_numpy()
    test = chosen(every, np.flatnonzero((inside & ~half) | stranger))
    result = fit_and_evaluate_hierarchy(spec(), chosen(every, np.flatnonzero(inside & half)), {"test": test})
    found = values(result)
    assert found["real", "level", "seen", "balanced_accuracy"] > 0.97
    assert found["family", "level", "seen", "accuracy"] > 0.92
    assert found["generator", "level", "seen", "accuracy"] > 0.93
    assert found["generator", "end_to_end", "seen", "accuracy"] > 0.9
    assert found["generator", "level", "unseen", "unknown"] > 2 * found["generator", "level", "seen", "unknown"]
