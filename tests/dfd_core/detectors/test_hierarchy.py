from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from dfd_core.classifiers import CLASSIFIERS
from dfd_core.detectors import DetectorSpec, fit
from dfd_core.detectors.files import to_bytes
from dfd_core.detectors.hierarchy import Hierarchy
from dfd_core.detectors.hierarchy_spec import GENERATED, LEVELS, REAL, UNKNOWN, HierarchySpec
from dfd_core.errors import EvaluationError, StoreError
from dfd_core.storage import Store

FAMILY = {"a1": "gan", "a2": "gan", "a3": "gan", "b1": "diffusion", "b2": "diffusion", "c1": "autoregressive"}


def data(seed=0, n=40, D=12, apart=6.0):
    """Clusters: reals about the origin; generated ones apart along one axis, families and generators along others."""
    rng = np.random.default_rng(seed)
    generator = np.repeat([REAL, *FAMILY], n).astype(object)
    family = np.array([FAMILY.get(one, REAL) for one in generator], dtype=object)
    label = (generator != REAL).astype(np.int8)
    X = rng.normal(size=(len(label), D))
    X[:, 0] += apart * label
    for place, one in enumerate(dict.fromkeys(FAMILY.values())):
        X[family == one, 1 + place] += apart
    for place, one in enumerate(FAMILY):
        X[generator == one, 4 + place] += apart
    order = rng.permutation(len(label))
    return X[order].astype(np.float32), label[order], family[order], generator[order]


def spec(classifier="logistic_regression", **fields):
    return HierarchySpec(name="h", default={"classifier": classifier}, **({"unknown_below": 0.5} | fields))


each = pytest.mark.parametrize("classifier", list(CLASSIFIERS))


@each
def test_each_level_is_told(classifier):
    X, label, family, generator = data(1)
    found = Hierarchy(spec(classifier)).fit(*data()).predict(X)
    wanted = {"real": np.where(label, GENERATED, REAL), "family": family, "generator": generator}
    for level in LEVELS:
        assert np.mean(found.label[level] == wanted[level]) > 0.95, level
    assert np.mean((found.generated > 0.5) == label) > 0.95


@each
def test_the_first_level_is_an_ordinary_detector(classifier):
    X, label, family, generator = data()
    hierarchy = Hierarchy(spec(classifier)).fit(X, label, family, generator)
    one = DetectorSpec(train_dataset="d", train_generator="g", backbone="b", classifier=classifier)
    score = fit(one, X, label).score(data(1)[0])
    np.testing.assert_array_equal(hierarchy.predict(data(1)[0]).generated, score)
    np.testing.assert_array_equal(hierarchy.predict_proba(data(1)[0])[:, 1], score)


def test_what_is_unknown_or_real_above_is_so_below():
    hierarchy = Hierarchy(spec(unknown_below={"real": 0.9, "family": 0.9, "generator": 0.9}))
    found = hierarchy.fit(*data(apart=1.5)).predict(data(1, apart=1.5)[0])
    upper = [found.label[level] for level in LEVELS]
    for above, below in pairwise(upper):
        for final in (REAL, UNKNOWN):
            assert (above == final).any()
            assert (below[above == final] == final).all()
    for level in LEVELS:
        asked = np.isfinite(found.score[level])
        np.testing.assert_array_equal(found.label[level][asked] == UNKNOWN, found.score[level][asked] < 0.9)
    np.testing.assert_array_equal(np.isfinite(found.score["family"]), upper[0] == GENERATED)
    np.testing.assert_array_equal(np.isfinite(found.score["generator"]), np.isin(upper[1], list(FAMILY.values())))


def test_a_family_with_one_generator_is_trivial_and_noted():
    hierarchy = Hierarchy(spec(unknown_below=1.0)).fit(*data())
    assert hierarchy.nodes_["generator", "autoregressive"].summary.kind == "trivial"
    assert hierarchy.summary_.notes() == (
        "level generator within autoregressive is trivial: c1 is its only class and gets score 1",
    )
    names, top = hierarchy.decide(data()[0], "generator", "autoregressive")
    assert set(names) == {"c1"}
    assert set(top) == {1.0}


def test_merged_generators_are_one_class():
    hierarchy = Hierarchy(spec(merge={"a": ["a[12]"]})).fit(*data())
    assert hierarchy.nodes_["generator", "gan"].summary.names == ("a", "a3")
    assert hierarchy.summary_.generators["a2"] == "a"
    X, _, _, generator = data(1)
    found = hierarchy.predict(X).label["generator"]
    assert np.mean(found[np.isin(generator, ["a1", "a2"])] == "a") > 0.95


def test_each_level_has_its_own_classifier_and_reducer():
    levels = {"family": {"reducer": "standardize", "classifier": "nearest_neighbour"}}
    hierarchy = Hierarchy(spec(levels=levels)).fit(*data())
    assert [node.reducer is None for node in hierarchy.nodes_.values()] == [True, False, True, True, True]
    assert hierarchy.nodes_["family", ""].summary.kind == "one versus rest"
    own = hierarchy.nodes_["family", ""].reducer.mean_  # fitted on the generated rows, and on no real
    np.testing.assert_allclose(own, data()[0][data()[1] == 1].mean(axis=0), atol=1e-5)


@each
def test_saved_and_read_again_it_says_the_same_and_equal_ones_have_equal_bytes(classifier, tmp_path):
    store, X = Store(tmp_path), data(1)[0]
    hierarchy = Hierarchy(spec(classifier, merge={"a": ["a1", "a2"]})).fit(*data())
    hierarchy.save(store, "one.skops")
    Hierarchy(hierarchy.spec).fit(*data()).save(store, "two.skops")
    assert store.read_bytes("one.skops") == store.read_bytes("two.skops")
    again = Hierarchy.load(store, "one.skops")
    assert again.summary_ == hierarchy.summary_
    for level in LEVELS:
        np.testing.assert_array_equal(again.predict(X).label[level], hierarchy.predict(X).label[level])
        np.testing.assert_array_equal(again.predict(X).score[level], hierarchy.predict(X).score[level])


def test_a_file_that_is_no_hierarchy_is_refused(tmp_path):
    store = Store(tmp_path)
    store.write_bytes("text", b"hello")
    store.write_bytes("other", to_bytes({"summary": "{}"}))
    for name in ("text", "other"):
        with pytest.raises(StoreError, match="not a hierarchy"):
            Hierarchy.load(store, name)


def test_it_is_an_estimator():
    hierarchy = Hierarchy(spec())
    with pytest.raises(NotFittedError):
        hierarchy.predict(data()[0])
    twin = clone(hierarchy.fit(*data()))
    assert twin.spec == hierarchy.spec
    assert not hasattr(twin, "nodes_")
    assert hierarchy.predict(np.empty((0, 12), dtype=np.float32)).generated.shape == (0,)


def broken(column, place, value):
    columns = [np.array(one) for one in data()]
    columns[column][place] = value
    return columns


FAKE = int(np.flatnonzero(data()[3] == "a1")[0])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (broken(1, slice(None), 1), r"labels \[1\]"),
        (broken(1, slice(None), 0), r"labels \[0\]"),
        (broken(1, 0, 2), r"labels \[0, 1, 2\]"),
        ([data()[0], data()[1][1:], *data()[2:]], "labels of shape"),
        ([data()[0][:, 0], *data()[1:]], "shape"),
        (broken(0, (7, 3), np.nan), r"1 of 280 rows .* index 7"),
        (broken(0, (7, 3), np.inf), r"1 of 280 rows .* index 7"),
        (broken(2, FAKE, "diffusion"), "'a1' belongs to two families, 'diffusion' and 'gan'"),
        (broken(2, FAKE, "real"), "family 'real'"),
        (broken(2, FAKE, None), "family None"),
        (broken(3, FAKE, "unknown"), "generator 'unknown'"),
        (broken(3, FAKE, ""), "generator ''"),
    ],
)
def test_rows_that_can_not_be_trained_on_are_refused(columns, message):
    with pytest.raises(EvaluationError, match=message):
        Hierarchy(spec()).fit(*columns)


def test_vectors_that_do_not_fit_are_refused():
    hierarchy = Hierarchy(spec()).fit(*data())
    with pytest.raises(EvaluationError, match="width 12, not 11"):
        hierarchy.predict(data()[0][:, 1:])
    with pytest.raises(EvaluationError, match="index 7"):
        hierarchy.predict(broken(0, (7, 3), np.nan)[0])
    with pytest.raises(EvaluationError, match="no decision at level generator for the family 'vae'"):
        hierarchy.decide(data()[0], "generator", "vae")


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(EvaluationError, match="matches no generator"):
        Hierarchy(spec(merge={"glide": ["glide_*"]})).fit(*data())
