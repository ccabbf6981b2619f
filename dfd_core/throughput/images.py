"""What speed is measured on: a folder of one's own images, or files that are made for the purpose."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dfd_core.datasets.suffixes import IMAGE_SUFFIXES
from dfd_core.errors import UsageError

IMAGE_SIDE = 256


def make_images(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Writes JPEG files of 256 px with photographic content and camera noise; those that are there are kept."""
    from dfd_core.datasets.simulation.camera import encode, expose
    from dfd_core.datasets.simulation.contents import ContentKind, content

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:06d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            rng = np.random.default_rng([seed, number])
            kinds: tuple[ContentKind, ContentKind] = ("photographs", "dead_leaves")
            path.write_bytes(encode(expose(content(kinds[number % 2], IMAGE_SIDE, rng), rng), 90))
    return paths


def images_in(folder: Path) -> list[Path]:
    """The images below a folder, by their extensions, sorted.

    Raises:
        UsageError: There is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}. Check `--folder`; without it, images are made.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not files:
        raise UsageError(f"There is no image in the folder {folder}. Check `--folder`; without it, images are made.")
    return files
