"""`dfd grid`: from tables of vectors to a table of accuracies, without any configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from dfd_core.errors import UsageError
from flows.options import Local, RetryFailed, Texts

EXAMPLES = """
\b
Examples:
  dfd grid clip.parquet --out grid
  dfd grid train.parquet test.parquet --out grid --classifiers "svm_rbf, knn(k=3)" --reducers none --seed 1
"""
_AT_COMMAS = re.compile(r",(?![^()]*\))")


def grid(  # noqa: PLR0913, PLR0917  # a command has as many parameters as options
    tables: Annotated[
        list[str], typer.Argument(metavar="TABLE", help="Tables of vectors, as for `dfd features import`.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder for accuracy.csv and everything else.")],
    classifiers: Annotated[
        Texts, typer.Option("--classifiers", metavar="NAMES", help="Classifiers, separated by commas; all by default.")
    ] = None,
    reducers: Annotated[
        Texts, typer.Option("--reducers", metavar="NAMES", help="Reducers, separated by commas; all by default.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of reducers and classifiers.")] = 0,
    local: Local = False,
    retry_failed: RetryFailed = False,
) -> None:
    """Fits every classifier with every reducer on every training set in the tables, and tests it on every test set.

    A training set is the rows with split train of one dataset and augmentation, a test set those with split test.
    Fitted detectors and scores are kept in FOLDER, so running the same command again does only what is missing.
    """
    from dfd_core.classifiers import CLASSIFIERS
    from dfd_core.config import make_config
    from dfd_core.reducers import REDUCERS
    from flows import starting

    values = {
        "name": re.sub(r"[^A-Za-z0-9._-]+", "_", out.absolute().name).strip("._-") or "grid",
        "store": str(out.absolute() / "store"),
        "seed": seed,
        "datasets": [],
        "features": [{"file": table} for table in tables],
        "augmentations": ["none"],
        "reducers": _names(reducers) or list(REDUCERS),
        "classifiers": _names(classifiers) or _variants(list(CLASSIFIERS)),
        "shortcut_probe": None,
        "report": {"maps": False},
        "retry_failed": retry_failed,
        "protocol": {"train_on": ["cross_dataset"], "train_augmentations": "all"},
    }
    config = make_config(values, "the command line")
    starting.start("grid", config, dry_run=False, local=local)


def _names(given: Texts) -> list[str]:
    """Names out of options that may be repeated and hold several with commas."""
    found = [name.strip() for text in given or () for name in _AT_COMMAS.split(text) if name.strip()]
    if given and not found:
        raise UsageError("A list of classifiers or reducers is empty. Leave the option out for all of them.")
    return found


def _variants(names: list[str]) -> list[str]:
    """All classifiers, with the numbers of neighbours that are usually compared."""
    several = {"knn": [f"knn(k={k})" for k in (1, 3, 5, 9)], "nearest_neighbour": ["nearest_neighbour"]}
    several["nearest_neighbour"] += [f"nearest_neighbour(k={k})" for k in (3, 5, 9)]
    return [one for name in names for one in several.get(name, [name])]
