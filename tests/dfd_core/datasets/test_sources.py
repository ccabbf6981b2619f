import pytest
from pydantic import TypeAdapter, ValidationError

from dfd_core.datasets import CatalogueSource, DatasetSource, FolderSource, TableSource

ADAPTER = TypeAdapter(DatasetSource)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("simulated", CatalogueSource(catalogue="simulated", name="simulated")),
        ({"catalogue": "simulated", "name": "mine"}, CatalogueSource(catalogue="simulated", name="mine")),
        ({"name": "own", "folders": "s3://bucket/x"}, FolderSource(name="own", folders=("s3://bucket/x",))),
        ({"name": "own", "table": "t.csv"}, TableSource(name="own", table="t.csv")),
    ],
)
def test_the_keys_decide_the_kind_and_survive_json(value, expected):
    source = ADAPTER.validate_python(value)
    assert source == expected
    assert ADAPTER.validate_python(source) == source
    assert ADAPTER.validate_json(ADAPTER.dump_json(source)) == source


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"name": "x"}, "one of the keys catalogue, folders, table"),
        ({"name": "x", "folders": []}, "at least 1 item"),
        ({"name": "x", "folders": ["a"], "layuot": "field"}, "layuot"),
        ({"name": "../x", "folders": ["a"]}, "name"),
        ({"name": "x", "folders": ["a"], "group_pattern": "("}, "not a regular expression"),
        ({"name": "x", "folders": ["a"], "splits": {"dev": "list.txt"}}, "splits"),
    ],
)
def test_what_is_wrong_is_said(value, words):
    with pytest.raises(ValidationError, match=words):
        ADAPTER.validate_python(value)
