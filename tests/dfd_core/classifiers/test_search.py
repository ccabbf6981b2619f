import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd_core.classifiers import coarse, search
from dfd_core.classifiers.search import nearest, unit_rows

METRICS = ("euclidean", "cosine")


def brute(rows, bank, k, metric):
    """Every pair in float64, equally near ones in the bank's order."""
    a, b = rows.astype(np.float64)[:, None], bank.astype(np.float64)[None]
    values = (a * b).sum(axis=2) if metric == "cosine" else ((a - b) ** 2).sum(axis=2)
    order = np.argsort(-values if metric == "cosine" else values, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(values, order, axis=1)


def vectors(seed, n, d, metric, scale=1.0):
    X = (scale * (3 + np.random.default_rng(seed).normal(size=(n, d)))).astype(np.float32)
    return unit_rows(X) if metric == "cosine" else X


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**31), k=st.integers(1, 9), metric=st.sampled_from(METRICS),
    blocks=st.tuples(st.integers(1, 70), st.integers(1, 130), st.integers(1, 8)), repeated=st.booleans(),
)  # fmt: skip
def test_it_is_the_whole_matrix_of_pairs_however_it_is_cut(seed, k, metric, blocks, repeated):
    bank, rows = vectors(seed, 150, 5, metric), vectors(seed + 1, 40, 5, metric)
    if repeated:
        bank[70:140] = bank[:70]
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("QUERY_BLOCK", "BANK_BLOCK", "GROUP"), blocks, strict=True):
            patch.setattr(search, name, size)
        found = nearest(rows, bank, k, metric)
    indices, values = brute(rows, bank, k, metric)
    np.testing.assert_allclose(found.values, values, rtol=1e-12)
    if not repeated:
        np.testing.assert_array_equal(found.indices, indices)
    else:
        assert (np.diff(found.indices, axis=1)[np.diff(found.values, axis=1) == 0] > 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_large_blocks_and_their_groups(metric):
    bank, rows = vectors(0, 3 * 8192 + 5, 8, metric), vectors(1, 50, 8, metric)
    found = nearest(rows, bank, 9, metric)
    np.testing.assert_array_equal(found.indices, brute(rows, bank, 9, metric)[0])


@pytest.mark.parametrize("metric", METRICS)
def test_neither_blocks_nor_the_number_asked_for_change_a_bit(metric, monkeypatch):
    bank, rows = vectors(0, 500, 33, metric), vectors(1, 90, 33, metric)
    whole = nearest(rows, bank, 9, metric)
    for name, size in (("QUERY_BLOCK", 7), ("BANK_BLOCK", 11), ("RANK_BLOCK", 3)):
        monkeypatch.setattr(search, name, size)
    for k in (1, 3, 9):
        part = nearest(rows, bank, k, metric)
        np.testing.assert_array_equal(part.indices, whole.indices[:, :k])
        np.testing.assert_array_equal(part.values, whole.values[:, :k])


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e18, 1e30])
def test_where_products_leave_float32(scale):
    bank, rows = vectors(0, 200, 6, "euclidean", scale), vectors(1, 20, 6, "euclidean", scale)
    found = nearest(rows, bank, 3, "euclidean")
    np.testing.assert_array_equal(found.indices, brute(rows, bank, 3, "euclidean")[0])


def test_where_float32_can_not_tell_neighbours_apart():
    rows = np.zeros((2, 4), dtype=np.float32)
    rows[:, 0] = 4096
    bank = np.repeat(rows[:1], 300, axis=0)
    bank[:, 1] = np.linspace(1, 1e-3, 300, dtype=np.float32)  # squared distances far below the last digit of products
    found = nearest(rows, bank, 4, "euclidean")
    np.testing.assert_array_equal(found.indices, [[299, 298, 297, 296]] * 2)


def test_a_bank_of_one_row_many_times_is_in_its_order():
    bank = np.ones((5000, 16), dtype=np.float32)
    np.testing.assert_array_equal(nearest(bank[:3], bank, 5, "euclidean").indices, [np.arange(5)] * 3)


def test_rows_of_zeros_stay_and_others_have_length_one():
    X = np.array([[0, 0], [3e30, 4e30], [3e-30, 4e-30]], dtype=np.float32)
    np.testing.assert_allclose(unit_rows(X), [[0, 0], [0.6, 0.8], [0.6, 0.8]], rtol=1e-6)


@pytest.fixture
def always_coarse(monkeypatch):
    """The coarse product wherever there are cosines, in small blocks; gives what it proposed for each block."""
    proposed = []
    candidates = coarse.CoarseBank.candidates

    def spy(self, block, k, largest):
        proposed.append((block, *candidates(self, block, k, largest)))
        return proposed[-1][1:]

    monkeypatch.setattr(coarse, "pays", lambda *_: True)
    monkeypatch.setattr(coarse, "BANK_BLOCK", 700)
    monkeypatch.setattr(coarse.CoarseBank, "candidates", spy)
    return proposed


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [1.0, 0.1, 1e-4])
def test_coarse_products_change_no_result_and_their_bound_holds(always_coarse, seed, spread):
    generator = np.random.default_rng(seed)
    centre = 2 * generator.normal(size=64)
    bank, rows = (unit_rows((centre + spread * generator.normal(size=(n, 64))).astype(np.float32)) for n in (3000, 40))
    found = nearest(rows, bank, 5, "cosine")
    np.testing.assert_array_equal(found.indices, brute(rows, bank, 5, "cosine")[0])
    ((block, members, reach),) = always_coarse
    cosines = block.astype(np.float64) @ bank.astype(np.float64).T
    np.put_along_axis(cosines, members, -np.inf, axis=1)
    assert (cosines.max(axis=1) <= reach).all()
    if spread == 1.0:  # nothing would be gained if the bound were never tight enough
        assert np.mean(found.values[:, -1] > reach) > 0.5
