"""Where an artefact comes from: code version, package versions, platform, time."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from dfd_core import __version__

PACKAGES = ("numpy", "pillow", "torch", "torchvision", "timm", "open_clip_torch", "scikit-learn", "pyarrow")


def provenance(**facts: Any) -> dict[str, Any]:
    """Facts to keep with an artefact, beside those that hold for the whole process.

    Args:
        facts: JSON values that are this artefact's own: spec, digests, seed, counts, seconds.
    """
    created_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {**_process_facts(), "created_at": created_at, **facts}


@functools.cache
def _process_facts() -> dict[str, Any]:
    return {
        "dfd": __version__,
        "code": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of a source checkout, with `+dirty` where files differ; `None` for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+dirty", "--exclude=*"],  # noqa: S607
            cwd=root, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
