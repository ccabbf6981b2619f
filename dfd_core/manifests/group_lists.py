"""Groups that a file lists, as an audit writes them of near duplicates: what paths don't say belongs together."""

from __future__ import annotations

from collections.abc import Sequence

from dfd_core.errors import ManifestError
from dfd_core.manifests.tables import read_rows, texts_of
from dfd_core.wording import some


def listed_groups(url: str, dataset: str, paths: Sequence[str]) -> tuple[list[str | None], list[str]]:
    """The group that a list gives each path; `None` for those that it does not name.

    Args:
        url: A CSV or Parquet table with the columns `path` and `group`, and `dataset` where it is of several.
        dataset: Of a list of several datasets the rows of this one count.
        paths: Relative paths of the dataset's files, as they stand in the manifest.

    Returns:
        The groups, and notes of what was left out.

    Raises:
        ManifestError: The list can't be read, lacks a column, or names none of the files.
    """
    table = read_rows(url)
    if not {"path", "group"} <= set(table.column_names):
        raise ManifestError(
            f"The list of groups {url} needs the columns `path` and `group`. Its columns are: "
            f"{', '.join(table.column_names)}. `dfd audit --groups` writes such lists."
        )
    rows = list(zip(texts_of(table["path"]), texts_of(table["group"]), strict=True))
    if "dataset" in table.column_names:
        of = texts_of(table["dataset"])
        if len(set(of)) > 1:
            rows = [row for row, name in zip(rows, of, strict=True) if name == dataset]
    listed = {path: group for path, group in rows if path is not None}
    absent = sorted(listed.keys() - set(paths))
    if len(absent) == len(listed):
        raise ManifestError(
            f"The list of groups {url} names none of the {len(paths)} files of {dataset}, which have paths like "
            f"{min(paths)}, but {some(absent) or 'none of this dataset'}. Check `groups:`."
        )
    notes = [f"`groups:` names {len(absent)} files that are not there: {some(absent)}"] if absent else []
    return [listed.get(path) for path in paths], notes
