import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from dfd_core.config import make_config
from dfd_core.datasets import CatalogueSource, DatasetSource, FolderSource, TableSource
from dfd_core.datasets.own_cards import own_card
from dfd_core.errors import ConfigError
from dfd_core.storage import Store

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


SECRETS = (
    "https://user:hunter2@host/x", "https://hunter2@host/x", "s3://key:hunter2@bucket/x",
    "https://host/x.zip?X-Amz-Signature=hunter2", "https://host/x?a=b&X-Goog-Signature=hunter2",
    "https://host/x?sv=1&sig=hunter2", "zip://a::https://host/x?token=hunter2", "https://host/x?access_token=hunter2",
)  # fmt: skip


@pytest.mark.parametrize("address", SECRETS)
@pytest.mark.parametrize("kind", ["folders", "table", "splits"])
def test_secrets_in_addresses_are_refused_and_not_told(address, kind, tmp_path):
    places = {kind: {"train": address}, "folders": "x"} if kind == "splits" else {kind: address}
    with pytest.raises(ConfigError, match="kept and printed") as error:
        make_config({"datasets": [{"name": "x", **places}]}, "run.yaml")
    assert "hunter2" not in str(error.value)
    store = Store(tmp_path)
    store.write_bytes("cards/x.yaml", yaml.safe_dump({"name": "x", **places}).encode())
    with pytest.raises(ConfigError, match=r"cards/x\.yaml can't be read") as error:
        own_card(CatalogueSource(catalogue="x", name="x"), store)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/a@b/x", "hf://datasets/o/n@main/x", "github://owner:name@main/x", "sftp://me@host/x",
        "abfs://box@account.dfs.core.windows.net/x", "https://host/x?sort=size&page=2",
        "folder:odd@name",
    ],
)  # fmt: skip
def test_addresses_without_secrets_are_taken(address):
    assert FolderSource(name="x", folders=(address,)).folders == (address,)
