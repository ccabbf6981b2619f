"""Contact sheets: some images of each generator and each source of reals, side by side."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dfd_core.audit.broken import whole
from dfd_core.audit.findings import REAL
from dfd_core.audit.gathering import MOST_PIXELS, Evidence
from dfd_core.audit.hashing import opened
from dfd_core.manifests.addresses import read_file
from dfd_core.progress import Progress
from dfd_core.specs import content_hash, readable_key

SIDE, COLUMNS, MOST = 128, 8, 40
_PAPER = (255, 255, 255)
_QUALITY = 80


@dataclass(frozen=True)
class Sheet:
    """A contact sheet.

    Attributes:
        name: Its file's name, without the ending.
        title: Whose images they are.
        png: As a file beside the page.
        jpeg: Smaller, inside the page.
    """

    name: str
    title: str
    png: bytes
    jpeg: bytes


def contact_sheets(evidence: Evidence, seed: int, progress: Progress | None = None) -> Iterator[Sheet]:
    """A sheet for each generator and each source of reals, of up to 40 of its files, drawn by the seed.

    Images are fitted into 128 x 128 pixels; one that can't be decoded, or has more than 100 million, is left
    out.

    Args:
        evidence: Of an audit.
        seed: Another one draws others.
        progress: Called with how many images are done, and of how many; may raise to stop.
    """
    frame = evidence.frame.assign(format=evidence.headers["format"].to_pylist())
    frame = frame[whole(evidence) & (evidence.pixels <= MOST_PIXELS)]
    source = frame["source"].fillna(frame["dataset"]).astype(str)
    frame = frame.assign(name=frame["generator"].where(frame["label"] != REAL, "real " + source))
    by_name = frame.groupby(["dataset", "name"], sort=True)
    done, total = 0, int(by_name.size().clip(upper=MOST).sum())
    for (dataset, name), part in by_name:
        ordered = part.sort_values("path")
        chosen = np.random.default_rng(seed).permutation(len(part))[:MOST]
        images = []
        for url, kind in ordered.iloc[np.sort(chosen)][["url", "format"]].itertuples(index=False):
            with contextlib.suppress(Exception):  # where every image was decoded, it is among the broken files
                images.append(_thumbnail(read_file(url), kind))
            done += 1
            if progress is not None:
                progress(done, total)
        if images:
            title = f"{dataset} / {name or 'unknown'}"
            sheet = _sheet(images)
            file = readable_key(title, content_hash(title))
            yield Sheet(
                file, f"{title}: {len(images)} of {len(part)} files", _saved(sheet, "PNG"), _saved(sheet, "JPEG")
            )


def _thumbnail(data: bytes, format_name: str) -> Image.Image:
    image = opened(data, format_name)
    if format_name == "JPEG":
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray((np.asarray(image.convert("F")) / 257).clip(0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*_PAPER, 255)), image.convert("RGBA"))
    image = image.convert("RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    return image


def _sheet(images: list[Image.Image]) -> Image.Image:
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (SIDE + 4) + 4, rows * (SIDE + 4) + 4), _PAPER)
    for place, image in enumerate(images):
        left, top = 4 + (place % columns) * (SIDE + 4), 4 + place // columns * (SIDE + 4)
        sheet.paste(image, (left + (SIDE - image.width) // 2, top + (SIDE - image.height) // 2))
    return sheet


def _saved(sheet: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    sheet.save(out, kind, **({"quality": _QUALITY} if kind == "JPEG" else {}))
    return out.getvalue()
