import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from dfd_core.classifiers import search
from dfd_core.classifiers.k_nearest import KNearestNeighbours
from dfd_core.classifiers.nearest_neighbour import NearestNeighbour
from dfd_core.detectors.files import from_bytes, to_bytes


def data(seed, n=40, d=6):
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return (generator.normal(size=(n, d)) + y[:, None]).astype(np.float32), y


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 9))
def test_it_agrees_with_the_whole_matrix_of_similarities_however_it_is_cut(seed, query_block, bank_block):
    X, y = data(seed)
    queries = data(seed + 1)[0]
    similarity = cosine_similarity(queries.astype(np.float64), X.astype(np.float64))
    expected = similarity[:, y == 1].max(axis=1) - similarity[:, y == 0].max(axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "QUERY_BLOCK", query_block)
        patch.setattr(search, "BANK_BLOCK", bank_block)
        model = NearestNeighbour().fit(X, y)
        decision = model.decision_function(queries)
    np.testing.assert_allclose(decision, expected, atol=1e-6)
    score = model.predict_proba(queries)
    np.testing.assert_allclose(score[:, 1], 0.5 + expected / 4, atol=1e-6)
    assert score.min() >= 0
    assert score.max() <= 1


def test_blocks_do_not_change_a_single_bit(monkeypatch):
    X, y = data(3, n=200, d=33)
    whole = NearestNeighbour().fit(X, y).predict_proba(X + 0.1)
    monkeypatch.setattr(search, "BANK_BLOCK", 7)
    np.testing.assert_array_equal(NearestNeighbour().fit(X, y).predict_proba(X + 0.1), whole)


def test_length_does_not_matter():
    X, y = data(0)
    model = NearestNeighbour().fit(X * np.float32(1e30), y)
    np.testing.assert_allclose(
        model.predict_proba(X * np.float32(1e-30)), NearestNeighbour().fit(X, y).predict_proba(X)
    )


def test_zeros_and_a_vector_in_both_banks_score_one_half_and_count_as_real():
    X = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], dtype=np.float32)
    model = NearestNeighbour().fit(X, [0, 1, 0, 1])
    np.testing.assert_array_equal(model.predict_proba(np.array([[0, 0], [5, 0]]))[:, 1], [0.5, 0.5])
    np.testing.assert_array_equal(model.predict(np.array([[0, 0], [5, 0]])), [0, 0])


def test_the_ends_of_the_scale():
    model = NearestNeighbour().fit(np.array([[1.0], [-1.0]]), [0, 1])
    np.testing.assert_array_equal(model.predict_proba(np.array([[2.0], [-2.0]]))[:, 1], [0, 1])


@pytest.mark.parametrize("k", [1, 3, 5, 9])
def test_k_neighbours_decide_like_their_vote(k):
    X, y = data(0, n=200)
    queries = data(1, n=200)[0]
    model = NearestNeighbour(k).fit(X, y)
    votes = KNearestNeighbours(k, "cosine").fit(X, y)
    np.testing.assert_array_equal(model.predict(queries), votes.predict(queries))
    assert len(np.unique(model.predict_proba(queries)[:, 1])) > k + 1


def test_one_from_before_there_was_a_choice_has_one_neighbour():
    X, y = data(0)
    model = NearestNeighbour().fit(X, y)
    expected = model.predict_proba(X)
    del vars(model)["k"]
    np.testing.assert_array_equal(from_bytes(to_bytes({"one": model}))["one"].predict_proba(X), expected)
