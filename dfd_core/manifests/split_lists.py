"""Splits by explicit lists: for each split a text file with one relative path a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dfd_core.datasets.sources import SplitName
from dfd_core.errors import ManifestError
from dfd_core.manifests.addresses import open_url
from dfd_core.manifests.unreadable import fault_of
from dfd_core.wording import some


def listed_splits(lists: Mapping[SplitName, str], paths: Sequence[str]) -> list[str]:
    """The split of every path.

    Args:
        lists: For each split the URL of its list.
        paths: Relative paths of the dataset's files, as they stand in the manifest.

    Raises:
        ManifestError: A list can't be read, a path is in two lists or in none, or a list names what is not there.
    """
    splits: dict[str, SplitName] = {}
    for split, url in lists.items():
        for path in _read(url):
            if splits.setdefault(path, split) != split:
                raise ManifestError(f"{path} is listed for {splits[path]} and, in {url}, for {split}. Remove one.")
    there = set(paths)
    absent = [path for path in splits if path not in there]
    if absent:
        raise ManifestError(
            f"{len(absent)} listed files are not in the dataset: {some(absent)}. "
            f"A list has paths like {min(there)}, relative to the dataset's folder."
        )
    unlisted = sorted(path for path in there if path not in splits)
    if unlisted:
        raise ManifestError(
            f"{len(unlisted)} of {len(there)} files are in none of the lists for {', '.join(lists)}: {some(unlisted)}. "
            "List each file once."
        )
    return [splits[path] for path in paths]


def _read(url: str) -> list[str]:
    fs, location = open_url(url)
    try:
        text = fs.cat_file(location).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ManifestError(f"There is no list {url}. Check the path under `splits:`.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise fault_of(error, f"The list {url} can't be read: {error}") from error
    lines = (line.strip().removeprefix("./") for line in text.split("\n"))
    return [line for line in lines if line]
