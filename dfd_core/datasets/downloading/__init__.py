"""Downloading: from an address to a file whose every byte was checked, however often the way there breaks.

`providers` turns an address into an origin (`origins`), which gives ranges of bytes; `engine.download` fetches them
side by side and keeps in a `journal` which are done.
"""

from dfd_core.datasets.downloading.buckets import FsspecOrigin
from dfd_core.datasets.downloading.engine import download
from dfd_core.datasets.downloading.origins import Facts, HttpOrigin, Origin
from dfd_core.datasets.downloading.providers import expand, open_origin
from dfd_core.datasets.downloading.terms import Checkpoint, Downloaded, Expected, Fetching

__all__ = [
    "Checkpoint",
    "Downloaded",
    "Expected",
    "Facts",
    "Fetching",
    "FsspecOrigin",
    "HttpOrigin",
    "Origin",
    "download",
    "expand",
    "open_origin",
]
