"""Folders of small pictures with something wrong in them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dfd_core.audit import Audit, AuditSpec, Finding, audit_places

HEADERS_ONLY = AuditSpec(near_duplicates=False)


def picture(seed: int) -> Image.Image:
    """Blobs of several sizes, different for every seed."""
    rng = np.random.default_rng(seed)
    parts = [Image.fromarray(rng.integers(0, 256, (n, n, 3)).astype(np.uint8)) for n in (5, 11, 23)]
    layers = [np.asarray(part.resize((96, 96), Image.Resampling.BICUBIC), float) for part in parts]
    return Image.fromarray(np.average(layers, axis=0, weights=[4, 2, 1]).clip(0, 255).astype(np.uint8))


def encoded(seed: int, size: tuple[int, int] = (96, 96), kind: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    picture(seed).resize(size).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def file() -> Callable[..., bytes]:
    """The bytes of a picture that differs for every seed: `file(seed, size, kind, **options of Pillow)`."""
    return encoded


@pytest.fixture
def folder(tmp_path) -> Callable[..., Path]:
    """Writes files below a folder of a name and returns it."""

    def write(files: dict[str, bytes], name: str = "set") -> Path:
        for path, data in files.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return tmp_path / name

    return write


@pytest.fixture
def clean() -> dict[str, bytes]:
    """30 reals and 30 fakes that differ in nothing but what they show."""
    places = ("cam/real", "gan/fake")
    return {f"{place}/{i:02}.jpg": encoded(2 * i + k) for i in range(30) for k, place in enumerate(places)}


@pytest.fixture(scope="session")
def audit() -> Callable[..., Audit]:
    """Audits folders and manifests, by their headers alone unless told otherwise."""

    def run(*places: Path | str, spec: AuditSpec = HEADERS_ONLY, pattern: str | None = None) -> Audit:
        return audit_places([str(place) for place in places], spec, pattern)[0]

    return run


@pytest.fixture(scope="session")
def kinds() -> Callable[..., dict[str, Finding]]:
    """The findings of a dataset by their kind."""

    def by_kind(found: Audit, dataset: str = "set") -> dict[str, Finding]:
        return {finding.kind: finding for finding in found.findings if finding.where.startswith(dataset)}

    return by_kind
