"""Which samples belong together, so that no split may part them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dfd_core.errors import ManifestError, UsageError
from dfd_core.wording import some


def group_expression(pattern: str) -> re.Pattern[str]:
    """A pattern that finds groups, checked before any file is read.

    Raises:
        UsageError: It is no regular expression.
    """
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"group_pattern {pattern!r} is not a regular expression: {error}.") from error


def named_groups(paths: Sequence[str], pattern: str) -> list[str | None]:
    """The group that a regular expression finds in each path; `None` where it finds nothing.

    Args:
        paths: Relative paths.
        pattern: Searched in each; its first group, or the whole match where it has none.

    Raises:
        UsageError: It is no regular expression.
        ManifestError: It finds nothing in any path.
    """
    expression = group_expression(pattern)
    matches = [expression.search(path) for path in paths]
    groups = [_text(match) if match else None for match in matches]
    if paths and not any(groups):
        raise ManifestError(
            f"group_pattern {pattern!r} finds nothing in any of {len(paths)} paths, such as {some(paths)}. "
            "It is searched in the relative path."
        )
    return groups


def join_groups(
    named: Sequence[str | None], sample_ids: Sequence[str], paths: Sequence[str], readable: Sequence[bool]
) -> list[str]:
    """Everyone's group: named ones, joined where they share the same bytes.

    A sample without a named group is a group by itself, called by its sample_id. Groups that share a file's bytes are
    one, called by the first of their names. Files without a readable header join nothing: their bytes say nothing.

    Args:
        named: A group's name or `None`, per row.
        sample_ids: SHA-256 of the bytes, per row.
        paths: Relative path, per row.
        readable: Whether the header could be read, per row.
    """
    own = [
        name or (sample_id if good else path)
        for name, sample_id, path, good in zip(named, sample_ids, paths, readable, strict=True)
    ]
    parents: dict[str, str] = {}

    def root(group: str) -> str:
        while (parent := parents.get(group, group)) != group:
            parents[group] = group = parents.get(parent, parent)
        return group

    first: dict[str, str] = {}
    for group, sample_id, good in zip(own, sample_ids, readable, strict=True):
        other = first.setdefault(sample_id, group) if good else group
        if other != group:
            low, high = sorted((root(other), root(group)))
            parents[high] = low
    return [root(group) for group in own] if parents else own


def _text(match: re.Match[str]) -> str | None:
    return (match.group(1) if match.re.groups else None) or match.group() or None
