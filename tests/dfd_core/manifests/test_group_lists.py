import pytest

from dfd_core.datasets import own_cards
from dfd_core.datasets.acquire import locate
from dfd_core.datasets.sources import CatalogueSource, FolderSource
from dfd_core.errors import ManifestError
from dfd_core.manifests import SplitSpec, prepare
from dfd_core.manifests.group_lists import listed_groups
from dfd_core.manifests.groups import combined_groups
from dfd_core.manifests.standing import standing
from dfd_core.storage import Store


@pytest.fixture
def table(tmp_path):
    """Writes a list of groups and returns its address."""

    def write(text):
        path = tmp_path / "groups.csv"
        path.write_text(text)
        return str(path)

    return write


def test_a_list_of_one_dataset_is_of_any_name_and_of_several_of_this_one(table):
    one = table("dataset,path,group\nx,a.png,7\nx,b.png,7\n")
    assert listed_groups(one, "mine", ["a.png", "b.png", "c.png"]) == (["7", "7", None], [])
    several = table("dataset,path,group\nx,a.png,7\nmine,a.png,8\nmine,gone.png,8\n")
    groups, notes = listed_groups(several, "mine", ["a.png", "b.png"])
    assert groups == ["8", None]
    assert notes == ["`groups:` names 1 files that are not there: gone.png"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,set\na.png,1\n", "needs the columns `path` and `group`. Its columns are: path, set"),
        (
            "path,group\nimages/a.png,1\n",
            "names none of the 2 files of mine, which have paths like a.png, but images/a",
        ),
        ("dataset,path,group\nx,a.png,1\ny,a.png,1\n", "but none of this dataset"),
    ],
)
def test_a_list_that_can_not_be_used_says_why(table, text, says):
    with pytest.raises(ManifestError) as error:
        listed_groups(table(text), "mine", ["a.png", "b.png"])
    assert says in str(error.value)


def test_groups_that_share_a_sample_are_one():
    named = ["p1", "p1", "p2", None, None, "p3"]
    listed = [None, "q", "q", "q", None, None]
    assert combined_groups(named, listed) == ["p1", "p1", "p1", "p1", None, "p3"]


def test_groups_are_joined_in_the_manifest_and_replace_the_one_without(tmp_path, table, put):
    folder = put(tmp_path / "images", [f"gan/{label}/{i}.png" for i in range(12) for label in ("real", "fake")])
    store = Store(tmp_path / "store")
    plain = FolderSource(name="mine", folders=(folder,), group_pattern=r"\d+")
    paths = prepare(plain, SplitSpec(), store).frame["path"].tolist()
    reals = [path for path in paths if "real" in path]
    rows = "".join(f"{path},one\n" for path in reals[:5])
    source = plain.model_copy(update={"groups": table(f"path,group\n{rows}")})
    frame = prepare(source, SplitSpec(), store).frame
    together = frame[frame["path"].isin(reals[:5])]
    assert together["group"].nunique() == together["split"].nunique() == 1
    assert (frame["group"] == together["group"].iloc[0]).sum() == 10  # and the fakes of the same numbers
    assert [one.frame["group"].nunique() for one in standing("mine", store)] == [8]


def test_datasets_of_the_catalogue_and_of_the_store_take_groups(tmp_path):
    store = Store(tmp_path / "store")
    made = CatalogueSource.model_validate({"catalogue": "simulated", "groups": "g.csv"})
    fetched = CatalogueSource.model_validate({"catalogue": "deepfakeface", "groups": "g.csv"})
    own_cards.keep(FolderSource(name="mine", folders=("images",)), store)
    own = CatalogueSource.model_validate({"catalogue": "mine", "groups": "g.csv"})
    assert [locate(one, store).groups for one in (made, fetched, own)] == ["g.csv"] * 3
