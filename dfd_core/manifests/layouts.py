"""The folder layouts that are understood: what a folder's path says of the images in it.

=========== ============================================================= ===========================================
layout      path                                                          meaning
=========== ============================================================= ===========================================
generator   `<generator>/<real|fake>/[<category>/...]`                    as collections are kept: `ffhq/real`
field       `[<generator>/[<category>/...]]<0_real|1_fake>/`              as the field's benchmarks are published
label       `<real|fake>/[<category>/...]`                                one generator, named in the configuration
=========== ============================================================= ===========================================

A real's source is the folder in the generator's place (`ffhq` of `ffhq/real`, `progan` of `progan/airplane/0_real`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from dfd_core.datasets.sources import Layout
from dfd_core.errors import ManifestError
from dfd_core.wording import counted, some

UNDERSTOOD = """Layouts that are understood:
  generator   <generator>/<real|fake>/...
  field       [<generator>/[<category>/]]<0_real|1_fake>/...
  label       <real|fake>/...  with the generator's name under `generator:`
Anything else can be given as a CSV or Parquet table under `table:`."""

_WORDS = {"real": 0, "fake": 1}
_FIELD_WORDS = {"0_real": 0, "1_fake": 1}
_LAYOUTS: tuple[Layout, ...] = ("generator", "field", "label")
_SHOWN = 8


class Place(NamedTuple):
    """What a folder says of the images in it.

    Attributes:
        label: 0 real, 1 generated.
        collection: The folder in the generator's place; `None` where the layout has none.
        category: The further folders, joined by `/`.
    """

    label: int
    collection: str | None
    category: str | None


def parse(layout: Layout, folder: str, named: bool = False) -> Place | None:
    """What a relative folder says in a layout; `None` where it does not fit.

    Args:
        layout: One of the three.
        folder: Relative POSIX path of the folder that an image is in; empty for the top.
        named: Whether the configuration names the generator, so that no folder stands for it.
    """
    parts = folder.split("/") if folder else []
    if layout == "field":
        marks = [i for i, part in enumerate(parts) if part.lower() in _FIELD_WORDS]
        if len(marks) != 1:
            return None
        above, below = parts[: marks[0]], parts[marks[0] + 1 :]
        collection = above.pop(0) if above and not named else None
        category = "/".join(above + below)
        return Place(_FIELD_WORDS[parts[marks[0]].lower()], collection, category or None)
    depth = 1 if layout == "generator" else 0
    if len(parts) <= depth or parts[depth].lower() not in _WORDS:
        return None
    category = "/".join(parts[depth + 1 :])
    return Place(_WORDS[parts[depth].lower()], parts[0] if depth else None, category or None)


def detect(url: str, images: Mapping[str, str], folders: Mapping[str, int]) -> Layout:
    """The one layout into which all images of a folder fit.

    Args:
        url: The folder, for messages.
        images: For each relative folder that has images, one of them.
        folders: For each of these folders, how many images are directly in it.

    Raises:
        ManifestError: None fits or several do; the message shows what was found and what is understood.
    """
    fitting = {layout: sum(n for f, n in folders.items() if parse(layout, f) is not None) for layout in _LAYOUTS}
    total = sum(folders.values())
    complete = [layout for layout in _LAYOUTS if fitting[layout] == total]
    if len(complete) == 1:
        return complete[0]
    if complete:
        raise ManifestError(
            f"The folder {url} fits the layouts {' and '.join(complete)}. Say which under `layout:`.\n{_found(folders)}"
        )
    best = max(_LAYOUTS, key=lambda layout: fitting[layout])
    if fitting[best]:
        check_all_fit(url, best, images, folders)
    raise ManifestError(
        f"The layout of the folder {url} is not understood.{_one_level_down(url, folders)}\n{_found(folders)}\n"
        f"{UNDERSTOOD}"
    )


def _one_level_down(url: str, folders: Mapping[str, int]) -> str:
    """Advice where the folders in a folder are understood, each as a dataset."""
    below = {folder.partition("/")[::2] for folder in folders}
    if not any(all(parse(layout, rest) is not None for _, rest in below) for layout in _LAYOUTS):
        return ""
    return f" Those in it are, each as a dataset: name {some(sorted({f'{url}/{top}' for top, _ in below}))} instead."


def check_all_fit(url: str, layout: Layout, images: Mapping[str, str], folders: Mapping[str, int]) -> None:
    """Raises a `ManifestError` that names the images that a layout has no label for; arguments as for `detect`."""
    strays = [folder for folder in folders if parse(layout, folder) is None]
    if strays:
        count, total = sum(folders[folder] for folder in strays), sum(folders.values())
        raise ManifestError(
            f"{count} of {total} images in the folder {url} have no place in the layout {layout!r}, such as "
            f"{some([images[folder] for folder in sorted(strays)])}. Move them elsewhere, or set `layout:`.\n"
            f"{_found(folders)}\n{UNDERSTOOD}"
        )


def _found(folders: Mapping[str, int]) -> str:
    tops: Counter[str] = Counter()
    for folder, count in folders.items():
        tops["/".join(folder.split("/")[:3])] += count
    lines = [
        f"  {folder}/  {counted(count, 'image')}" if folder else f"  {counted(count, 'image')}"
        for folder, count in sorted(tops.items())
    ]
    more = [f"  and {len(lines) - _SHOWN} more folders"] if len(lines) > _SHOWN else []
    return "\n".join(["Found:", *lines[:_SHOWN], *more])
