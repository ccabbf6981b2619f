import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd_core.errors import ManifestError, UsageError
from dfd_core.manifests.groups import join_groups, named_groups


def test_the_first_group_of_a_pattern_or_its_whole_match():
    paths = ["fake/n01_7_fake.png", "real/n01_7_real.png", "real/other.png"]
    assert named_groups(paths, r"n\d+_\d+") == ["n01_7", "n01_7", None]
    assert named_groups(paths, r"n(\d+)_\d+") == ["01", "01", None]
    assert named_groups(paths, r"other|n\d+_(\d+)") == ["7", "7", "other"]


def test_a_pattern_that_finds_nothing_is_an_error():
    with pytest.raises(ManifestError, match=r"'xyz' finds nothing in any of 1 paths, such as a\.png"):
        named_groups(["a.png"], "xyz")


@pytest.mark.parametrize("pattern", ["(", "*", "[a"])
def test_a_pattern_that_is_no_regular_expression_is_an_error(pattern):
    with pytest.raises(UsageError, match="is not a regular expression: ") as error:
        named_groups(["a.png"], pattern)
    assert repr(pattern) in str(error.value)


def test_a_sample_alone_is_its_own_group():
    assert join_groups([None, None], ["x", "y"], ["a", "b"], [True] * 2) == ["x", "y"]


def test_the_same_bytes_join_groups_along_chains():
    named = ["c", "b", "b", "a", "z", None]
    ids = ["1", "1", "2", "2", "3", "2"]
    groups = join_groups(named, ids, list("123456"), [True] * 6)
    assert groups[:4] == [groups[5]] * 4
    assert groups[4] == "z"


def test_files_that_hold_no_image_join_nothing():
    assert join_groups(["a", "b", None], ["x"] * 3, ["1", "2", "3"], [False] * 3) == ["a", "b", "3"]


rows = st.lists(st.tuples(st.none() | st.sampled_from("abcd"), st.sampled_from("12345")), min_size=1, max_size=15)


@given(rows, st.randoms(use_true_random=False))
def test_groups_are_the_connected_components_in_any_order(rows, random):
    named, ids = [name for name, _ in rows], [i for _, i in rows]
    paths = [str(i) for i in range(len(rows))]
    groups = join_groups(named, ids, paths, [True] * len(rows))
    linked = {(i, j) for i in range(len(rows)) for j in range(len(rows)) if _linked(rows[i], rows[j])}
    for _ in rows:  # transitive closure
        linked |= {(i, m) for i, j in linked for k, m in linked if j == k}
    assert all((groups[i] == groups[j]) == ((i, j) in linked) for i in range(len(rows)) for j in range(len(rows)))
    order = random.sample(range(len(rows)), len(rows))
    again = join_groups(
        [named[i] for i in order], [ids[i] for i in order], [paths[i] for i in order], [True] * len(rows)
    )
    assert again == [groups[i] for i in order]


def _linked(a, b) -> bool:
    return a[1] == b[1] or (a[0] is not None and a[0] == b[0])
