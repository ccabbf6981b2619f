"""The cache on this machine: what can be fetched or measured again, shared by all stores."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """`$XDG_CACHE_HOME/dfd`, by default `~/.cache/dfd`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "dfd"
