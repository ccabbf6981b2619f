import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd_core.features.ids import IdIndex, as_text, best_of_each, fixed_width, sorted_order

DIGESTS = st.integers(0, 40).map(lambda i: f"{i * 7919 % 41:02x}" * 32)  # all of one length
ALIKE = st.integers(0, 40).map(lambda i: f"{i:064x}")  # the same first bytes
OTHERS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
IDS = st.sampled_from([DIGESTS, ALIKE, OTHERS]).flatmap(lambda kind: st.lists(kind, max_size=30))


@given(IDS, st.integers(1, 4))
def test_ids_are_the_same_bytes_from_wherever_they_come(ids, parts):
    expected = [one.encode() for one in ids]
    chunked = pa.chunked_array([ids[part::parts] for part in range(parts)], pa.string())
    assert fixed_width(chunked).tolist() == [one for part in range(parts) for one in expected[part::parts]]
    large = pa.array(["x", *ids], pa.large_string()).slice(1)
    for given_ids in (ids, np.array(ids, dtype=object), large, np.array(ids, dtype=str)):
        assert fixed_width(given_ids).tolist() == expected
        assert as_text(fixed_width(given_ids)).tolist() == ids


def test_digests_come_straight_from_arrows_buffer():
    ids = pa.array(["ab" * 32, "cd" * 32])
    found = fixed_width(ids)
    assert found.dtype == "S64"
    assert found.ctypes.data == ids.buffers()[2].address


@given(IDS)
def test_order_and_the_first_of_each_are_those_of_text(ids):
    encoded = fixed_width(ids)
    assert encoded[sorted_order(encoded)].tolist() == sorted(one.encode() for one in ids)
    first = {one: ids.index(one) for one in ids}
    assert best_of_each(encoded).tolist() == [first[one] for one in sorted(first, key=str.encode)]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), max_size=30, unique=True))
def test_the_best_of_each_has_the_lowest_rank(rows):
    ids = fixed_width([f"{one:064x}" for one, _ in rows])
    ranks = np.array([rank for _, rank in rows], dtype=int)
    expected = [
        min((rank, place) for place, (i, rank) in enumerate(rows) if i == one)[1]
        for one in sorted({i for i, _ in rows})
    ]
    assert best_of_each(ids, ranks).tolist() == expected


@given(IDS, IDS)
def test_an_index_finds_what_a_dict_finds(known, asked):
    index = IdIndex(fixed_width(known))
    found = index.find(fixed_width(asked + known)).tolist()
    assert index.is_unique == (len(set(known)) == len(known))
    for one, place in zip(asked + known, found, strict=True):
        assert (place >= 0) == (one in known)
        if place >= 0:
            assert known[place] == one


@given(st.data())
def test_runs_are_found_as_single_ids_are(data):
    """Slices of what is known, as files have them, with strangers between and in them."""
    known = data.draw(st.sampled_from([DIGESTS, ALIKE, OTHERS]).flatmap(lambda kind: st.lists(kind, max_size=30)))
    ends = st.integers(0, len(known))
    runs = data.draw(st.lists(st.one_of(st.tuples(ends, ends).map(lambda pair: known[slice(*pair)]), IDS), max_size=5))
    asked = [one for run in runs for one in run]
    starts = np.cumsum([0, *map(len, runs)])[:-1][[len(run) > 0 for run in runs]].astype(int)
    found = IdIndex(fixed_width(known)).find_runs(fixed_width(asked), starts).tolist()
    assert [known[place] if place >= 0 else None for place in found] == [one if one in known else None for one in asked]


@pytest.mark.parametrize("known", [[], ["a"]])
def test_nothing_is_found_in_nothing(known):
    index = IdIndex(fixed_width(known))
    assert (
        index.find(fixed_width(["b"])).tolist() == index.find_runs(fixed_width(["b"]), np.array([0])).tolist() == [-1]
    )
    assert index.find(fixed_width([])).tolist() == index.find_runs(fixed_width([]), np.array([], int)).tolist() == []
