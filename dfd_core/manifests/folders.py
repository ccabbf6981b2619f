"""Folders of images as a draft of a manifest."""

from __future__ import annotations

from collections import Counter

from dfd_core.datasets.sources import FolderSource, Layout
from dfd_core.errors import ManifestError
from dfd_core.manifests.addresses import open_url
from dfd_core.manifests.drafts import Draft, check_both_classes, families
from dfd_core.manifests.layouts import check_all_fit, detect, parse
from dfd_core.manifests.listing import list_images
from dfd_core.manifests.schema import REAL

_HINT = (
    "`folders:` may list several folders, so that photographs in one can be paired with the images of a generator "
    "in another."
)


def draft_folders(source: FolderSource) -> Draft:
    """The images of one or several folders, with what their folders say of them.

    Raises:
        ManifestError: A folder is missing, empty or has a layout that is not understood; a class has no sample; a
            generator has no name.
    """
    draft = Draft()
    layouts = [_add_folder(draft, source, url, name) for url, name in zip(source.folders, _names(source), strict=True)]
    place = " and ".join(source.folders)
    if source.generator is not None and set(layouts) == {"generator"}:
        raise ManifestError(
            f"`generator: {source.generator}` is set, but the folders of {place} name the generators themselves "
            "(layout 'generator'). Remove one of the two."
        )
    if len(set(draft.files.urls)) < len(draft):
        raise ManifestError(f"Some of the folders {place} are inside others of them; their images would count twice.")
    check_both_classes(draft.labels, place, _HINT)
    draft.families = families(draft.generators, source.families)
    return draft


def _add_folder(draft: Draft, source: FolderSource, url: str, name: str) -> Layout:
    files, notes = list_images(url)
    directories = [path.rpartition("/")[0] for path in files.paths]
    examples = dict(zip(reversed(directories), reversed(files.paths), strict=True))
    counts = Counter(directories)
    if source.layout == "auto":
        layout = detect(url, examples, counts)
    else:
        layout = source.layout
        check_all_fit(url, layout, examples, counts)
    said = {directory: _said(source, layout, url, directory) for directory in counts}
    draft.labels += [said[d][0] for d in directories]
    draft.generators += [said[d][1] for d in directories]
    draft.sources += [said[d][2] for d in directories]
    draft.categories += [said[d][3] for d in directories]
    if len(source.folders) > 1:
        files.paths = [f"{name}/{path}" for path in files.paths]
    draft.files.extend(files)
    draft.notes += notes
    return layout


def _said(source: FolderSource, layout: Layout, url: str, directory: str) -> tuple[int, str, str | None, str | None]:
    """Label, generator, source and category of the images in a folder."""
    place = parse(layout, directory, named=source.generator is not None)
    if place is None:
        raise AssertionError(f"{directory} was checked before")
    if place.label == 0:
        return 0, REAL, place.collection or source.generator or _last_names(url, 1), place.category
    generator = place.collection or source.generator
    if generator is None:
        raise ManifestError(
            f"Nothing says which generator made the images in {url}/{directory}. Write its name under `generator:`."
        )
    if generator.lower() == REAL:
        raise ManifestError(f"The folder {url}/{directory} says that {REAL!r} is a generator. Rename it.")
    return 1, generator, None, place.category


def _names(source: FolderSource) -> list[str]:
    """What to put before the paths of each of several folders: last names, longer where those are equal."""
    depths = range(1, 1 + max(url.count("/") for url in map(_root, source.folders)))
    for depth in depths:
        names = [_last_names(url, depth) for url in source.folders]
        if len(set(names)) == len(names):
            return names
    return [_root(url).strip("/") for url in source.folders]


def _last_names(url: str, depth: int) -> str:
    return "/".join([part for part in _root(url).split("/") if part][-depth:]) or "root"


def _root(url: str) -> str:
    return url.rsplit("://", maxsplit=1)[-1].replace("::", "/") if "::" in url else "/" + open_url(url)[1]
