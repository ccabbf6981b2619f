"""Pages for people: one HTML file each, which needs neither network nor the files beside it."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Mapping
from typing import Any


def render(template: str, filters: Mapping[str, Callable[[str], str]] | None = None, **values: Any) -> str:
    """A page; what stands in it is escaped, and a name that it has no value for is an error.

    Args:
        template: Its path in this package; it may include others by theirs, such as `head.html`.
        filters: What else it may do with a text, by name.
        values: What stands in it, by name.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = importlib.resources.files("dfd_core")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda path: folder.joinpath(path).read_text(encoding="utf-8")),
    )
    environment.filters.update(filters or {})
    return environment.get_template(template).render(values)
