import pickle

import pytest

from dfd_core.errors import DfdError, ImageError, UnknownNameError
from dfd_core.registry import Registry


@pytest.fixture
def colours():
    registry = Registry("colour")
    for name in ("red", "green", "blue"):
        registry.add(name, name.upper())
    return registry


def test_entries_come_in_order(colours):
    assert list(colours) == ["red", "green", "blue"]
    assert dict(colours.items())["green"] == "GREEN"
    assert len(colours) == 3
    assert "red" in colours
    assert "pink" not in colours


def test_an_unknown_name_gets_the_close_ones_and_all(colours):
    with pytest.raises(
        UnknownNameError, match=r"no colour named 'gren'\. Did you mean 'green'.*Known: blue, green, red"
    ):
        colours["gren"]


def test_a_name_that_resembles_nothing_gets_no_guess(colours):
    with pytest.raises(UnknownNameError) as caught:
        colours["xyzxyz"]
    assert "Did you mean" not in str(caught.value)


def test_a_name_is_registered_once(colours):
    with pytest.raises(ValueError, match="registered twice"):
        colours.add("red", "R")


@pytest.mark.parametrize("error", [UnknownNameError("colour", "gren", ["green"]), ImageError("empty", "0 bytes")])
def test_errors_cross_processes_whole(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert isinstance(again, DfdError)
    assert vars(again) == vars(error)
