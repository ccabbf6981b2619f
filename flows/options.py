"""Arguments and options that several commands have, so that each is named and explained alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_STORE = "dfd-store"
Texts = list[str] | None
"""The values of an option that may be given more than once."""

Config = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG.yaml", help="Configuration of the run; without it, the embedded default."),
]
StoreUrl = Annotated[str, typer.Option("--store", metavar="URL", help="Store to use: a folder or any fsspec URL.")]
OtherStore = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="Store to use instead of the configuration's.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what exists and what would be computed, and compute nothing.")
]
Local = Annotated[bool, typer.Option("--local", help="Run in this process, without Prefect and Ray.")]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Retry everything that failed in an earlier run: images, detectors, hierarchies, unread files.",
    ),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print it as Markdown.")]
