from hypothesis import given, settings
from hypothesis import strategies as st

from dfd_core.augmentations.draws import Draws

SOURCES = st.tuples(st.integers(0, 2**70), st.text(), st.integers(0, 50))
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=200)


@REPEATABLE
@given(first=SOURCES, second=SOURCES, name=st.text())
def test_equal_sources_draw_the_same_and_others_do_not(first, second, name):
    assert Draws(*first).unit(name) == Draws(*first).unit(name)
    assert (Draws(*first).unit(name) == Draws(*second).unit(name)) == (first == second)


@REPEATABLE
@given(source=SOURCES, ends=st.tuples(st.integers(1, 100), st.integers(1, 100)).map(sorted))
def test_draws_stay_in_their_range(source, ends):
    draws, (low, high) = Draws(*source), ends
    assert 0 <= draws.unit("a") < 1
    assert low <= draws.whole("a", low, high) <= high
    assert low / 7 <= draws.real("a", low / 7, high / 7) <= high / 7


def test_a_draw_never_changes_between_versions():
    draws = Draws(3, "é\ud800", 1)
    assert (draws.unit("sigma"), draws.whole("quality", 30, 100)) == (0.23737383790966715, 53)


def test_whole_numbers_reach_both_ends_and_are_equally_likely():
    drawn = [Draws(0, str(sample), 0).whole("quality", 30, 33) for sample in range(4000)]
    counts = {value: drawn.count(value) for value in sorted(set(drawn))}
    assert list(counts) == [30, 31, 32, 33]
    assert all(abs(count - 1000) < 4.5 * (4000 * 0.25 * 0.75) ** 0.5 for count in counts.values())
