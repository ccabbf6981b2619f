import pytest

from dfd_core.errors import ManifestError
from dfd_core.manifests.split_lists import listed_splits

PATHS = ["a/1.png", "a/2.png", "b/3.png"]


@pytest.fixture
def lists(tmp_path):
    def write(**contents: str) -> dict[str, str]:
        for name, text in contents.items():
            (tmp_path / f"{name}.txt").write_text(text, newline="")
        return {name: str(tmp_path / f"{name}.txt") for name in contents}

    return write


def test_every_path_gets_the_split_of_its_list(lists):
    found = listed_splits(lists(train="./a/1.png\r\n\r\nb/3.png", test="\ufeffa/2.png\n"), PATHS)
    assert found == ["train", "test", "train"]


def test_files_in_no_list_are_counted_and_the_first_named(lists):
    with pytest.raises(ManifestError, match=r"2 of 3 files are in none of the lists for train: a/2\.png, b/3\.png"):
        listed_splits(lists(train="a/1.png"), PATHS)


def test_listed_files_that_are_not_there_are_named(lists):
    with pytest.raises(ManifestError, match=r"1 listed files are not in the dataset: c/9\.png\. .* like a/1\.png"):
        listed_splits(lists(train="a/1.png\na/2.png", test="b/3.png\nc/9.png"), PATHS)


def test_a_file_in_two_lists_is_an_error(lists):
    with pytest.raises(ManifestError, match=r"a/1\.png is listed for train and, .*, for test"):
        listed_splits(lists(train="a/1.png\na/2.png", test="a/1.png\nb/3.png"), PATHS)


def test_a_missing_list_is_named():
    with pytest.raises(ManifestError, match=r"There is no list memory://none\.txt"):
        listed_splits({"train": "memory://none.txt"}, PATHS)
