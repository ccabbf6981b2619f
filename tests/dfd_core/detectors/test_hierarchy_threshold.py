import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dfd_core.detectors.hierarchy_threshold import held_out, lost_share, lowest_kept

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=1, max_size=80)


@given(rows, st.integers(0, 3))
def test_what_is_held_out_keeps_groups_whole_and_four_fifths_of_every_class(pairs, seed):
    codes, groups = np.array(pairs).T
    out = held_out(codes, groups, seed)
    assert not set(groups[out]) & set(groups[~out])
    for code in np.unique(codes):
        assert out[codes == code].sum() <= np.sum(codes == code) / 5


def test_without_groups_a_fifth_is_held_out_and_the_seed_chooses_which():
    codes = np.repeat([0, 1], [100, 50])
    first, again, other = (held_out(codes, np.arange(150), seed) for seed in (0, 0, 1))
    assert np.bincount(codes[first]).tolist() == [20, 10]
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@given(st.lists(st.floats(0, 1), min_size=1), st.floats(0.01, 0.99))
def test_the_threshold_loses_at_most_the_share(top, share):
    lowest = lowest_kept(np.array(top), share)
    assert lowest in top
    assert np.mean(np.array(top) < lowest) <= share


def test_a_threshold_is_a_score_or_a_share():
    assert [lost_share(one) for one in ("0.5", "5pct", "0.1pct")] == [None, 0.05, 0.001]
