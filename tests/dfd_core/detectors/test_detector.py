import io
import re
import zipfile

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import FunctionTransformer

from dfd_core.classifiers import CLASSIFIERS
from dfd_core.detectors import Detector, DetectorSpec, fit
from dfd_core.detectors.files import to_bytes
from dfd_core.errors import EvaluationError, StoreError
from dfd_core.reducers import REDUCERS
from dfd_core.storage import Store


def spec(classifier="logistic_regression", **fields):
    return DetectorSpec(train_dataset="d", train_generator="g", backbone="b", classifier=classifier, **fields)


def data(n=200, trace=2.0, seed=0):
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = generator.normal(size=(n, 16)).astype(np.float32)
    X[:, :4] += trace * y[:, None]
    return X, y


each = pytest.mark.parametrize("classifier", list(CLASSIFIERS))
pairs = pytest.mark.parametrize(
    ("reducer", "classifier"),
    [
        *(("none", name) for name in CLASSIFIERS),
        *((name, "logistic_regression") for name in REDUCERS if name != "none"),
    ],
)


@pairs
def test_a_hidden_trace_is_found_and_shuffled_labels_teach_nothing(classifier, reducer):
    X, y = data(400, trace=6.0)
    fresh, truth = data(400, trace=6.0, seed=1)
    honest = fit(spec(classifier, reducer=reducer), X, y).score(fresh)
    assert np.mean((honest > 0.5) == truth) > 0.95
    # one shuffle can lean to either side of the trace by chance: what must not lean is their mean
    shuffled = [spec(classifier, reducer=reducer, seed=seed, shuffle_labels=True) for seed in range(30)]
    accuracies = [np.mean((fit(one, X, y).score(fresh) > 0.5) == truth) for one in shuffled]
    assert abs(np.mean(accuracies) - 0.5) < 4 * np.std(accuracies) / np.sqrt(30)
    assert np.mean(accuracies) < 0.75


@pairs
def test_saved_and_read_again_it_scores_the_same_and_equal_ones_have_equal_bytes(classifier, reducer, tmp_path):
    X, y = data()
    store = Store(tmp_path)
    detector = fit(spec(classifier, reducer=reducer), X, y)
    detector.save(store, "one.skops")
    fit(spec(classifier, reducer=reducer), X.copy(), y.copy()).save(store, "two.skops")
    again = Detector.load(store, "one.skops")
    assert again.summary == detector.summary
    np.testing.assert_array_equal(again.score(X), detector.score(X))
    assert store.read_bytes("one.skops") == store.read_bytes("two.skops")
    again.save(store, "three.skops")
    np.testing.assert_array_equal(Detector.load(store, "three.skops").score(X), detector.score(X))


@each
def test_scores_lie_within_0_and_1_also_far_out(classifier):
    X, y = data()
    score = fit(spec(classifier), X, y).score(X * np.float32(1e6))
    assert score.min() >= 0
    assert score.max() <= 1


@each
def test_vectors_that_do_not_fit_are_refused(classifier):
    X, y = data()
    detector = fit(spec(classifier), X, y)
    with pytest.raises(EvaluationError, match="width 16, not 15"):
        detector.score(X[:, 1:])
    for bad in (np.nan, np.inf):
        broken = X.copy()
        broken[7, 3] = bad
        with pytest.raises(EvaluationError, match=r"1 of 200 rows .* index 7"):
            detector.score(broken)
        with pytest.raises(EvaluationError, match="index 7"):
            fit(spec(classifier), broken, y)
    with pytest.raises(EvaluationError, match="shape"):
        detector.score(X[0])
    assert detector.score(X[:0]).shape == (0,)


@each
def test_labels_that_teach_nothing_are_refused(classifier):
    X, y = data()
    with pytest.raises(EvaluationError, match="labels \\[1\\]"):
        fit(spec(classifier), X, np.ones_like(y))
    with pytest.raises(EvaluationError, match="labels of shape"):
        fit(spec(classifier), X, y[:-1])


@each
def test_a_file_that_is_no_detector_or_holds_unknown_types_is_refused(classifier, tmp_path):
    X, y = data()
    store = Store(tmp_path)
    detector = fit(spec(classifier), X, y)
    store.write_bytes("text", b"hello")
    foreign = FunctionTransformer(func=np.linalg.slogdet)
    parts = {"summary": detector.summary.model_dump_json(), "reducer": foreign, "classifier": detector.classifier}
    store.write_bytes("foreign", to_bytes(parts))
    for name in ("text", "foreign"):
        with pytest.raises(StoreError, match="not a detector"):
            Detector.load(store, name)


@each
def test_the_file_has_no_memory_addresses(classifier, tmp_path):
    data_ = to_bytes({"classifier": fit(spec(classifier), *data()).classifier})
    with zipfile.ZipFile(io.BytesIO(data_)) as archive:
        assert not re.search(r'"__id__": \d{7}', archive.read("schema.json").decode())


def test_what_differs_has_another_name():
    one = spec()
    others = [
        spec(seed=1), spec(shuffle_labels=True), spec(reducer="standardize"),
        spec(train_augmentation="blur"), spec({"name": "logistic_regression", "options": {"C": 2}}),
    ]  # fmt: skip
    assert len({one.name(), *(other.name() for other in others)}) == 6


def test_a_fit_that_did_not_converge_is_noted():
    with pytest.warns(ConvergenceWarning):
        detector = fit(spec({"name": "logistic_regression", "options": {"max_iter": 2}}), *data(), notes=("first",))
    assert detector.summary.notes[0] == "first"
    assert "not converged" in detector.summary.notes[1]
