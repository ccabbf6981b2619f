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
    names = _Names()
    first: dict[str, str] = {}
    for group, sample_id, good in zip(own, sample_ids, readable, strict=True):
        other = first.setdefault(sample_id, group) if good else group
        names.join(other, group)
    return [names.first_of(group) for group in own]


def combined_groups(named: Sequence[str | None], listed: Sequence[str | None]) -> list[str | None]:
    """Groups that are named in two ways as one: those that have a sample in common are joined.

    Args:
        named: A group's name or `None`, per row.
        listed: The same, from elsewhere; equal names are the same group.
    """
    names = _Names()
    for one, other in zip(named, listed, strict=True):
        if one and other:
            names.join(one, other)
    either = [one or other for one, other in zip(named, listed, strict=True)]
    return [names.first_of(group) if group else None for group in either]


class _Names:
    """Names of the same thing; it is called by the first of them."""

    def __init__(self) -> None:
        self.parents: dict[str, str] = {}

    def join(self, one: str, other: str) -> None:
        """Says that two names are of the same thing."""
        if one != other:
            low, high = sorted((self.first_of(one), self.first_of(other)))
            self.parents[high] = low

    def first_of(self, name: str) -> str:
        """The first of a thing's names."""
        while (parent := self.parents.get(name, name)) != name:
            self.parents[name] = name = self.parents.get(parent, parent)
        return name


def _text(match: re.Match[str]) -> str | None:
    return (match.group(1) if match.re.groups else None) or match.group() or None
