import numpy as np
import pytest

from dfd_core.features.table import FeatureTable


def table():
    return FeatureTable(np.array(["c", "a", "b"]), np.arange(6, dtype=np.float32).reshape(3, 2), {"x": "truncated"})


def test_rows_come_in_the_order_asked_for():
    indices, missing = table().rows(["a", "x", "c", "a"])
    np.testing.assert_array_equal(indices, [1, 0, 1])
    np.testing.assert_array_equal(missing, [False, True, False, False])


def test_nothing_asked_nothing_given():
    indices, missing = table().rows([])
    assert len(indices) == 0
    assert len(missing) == 0


def test_shapes_that_disagree_and_repeated_samples_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        FeatureTable(np.array(["a"]), np.zeros((2, 2), np.float32), {})
    with pytest.raises(ValueError, match="several vectors"):
        FeatureTable(np.array(["a", "a"]), np.zeros((2, 2), np.float32), {})


def test_samples_are_text_whatever_they_are_held_as():
    assert table().sample_ids.tolist() == ["c", "a", "b"]
    assert FeatureTable(np.array([b"c", b"a"]), np.zeros((2, 1), np.float32), {}).sample_ids.tolist() == ["c", "a"]


def test_a_table_of_no_samples_finds_none():
    empty = FeatureTable(np.array([], dtype=str), np.zeros((0, 2), np.float32), {"x": "truncated"})
    indices, missing = empty.rows(np.array(["x", "y"], dtype=object))
    assert len(indices) == 0
    assert missing.all()
