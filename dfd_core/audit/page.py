"""An audit as files: JSON for machines, one page for people, contact sheets beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

from dfd_core.audit.findings import Audit, Histogram, Score
from dfd_core.audit.sheets import Sheet
from dfd_core.errors import StoreError
from dfd_core.manifests.headers_vector import PROPERTIES
from dfd_core.provenance import provenance
from dfd_core.storage import Store
from dfd_core.templates import render

_COLUMNS = ("all", *PROPERTIES)
_NONE = "–"


def write_audit(store: Store, folder: str, audit: Audit, sheets: Sequence[Sheet] = (), title: str = "Audit") -> str:
    """Writes audit.json, sheets/*.png and, last, index.html, in place of those of an earlier audit.

    Sheets that an earlier audit wrote there and this one does not are removed; no other file is.

    Args:
        store: Where.
        folder: A folder in it; empty for the store itself.
        audit: What was found out.
        sheets: Contact sheets.
        title: The page's heading.

    Returns:
        The address of index.html; it needs neither network nor the other files.

    Raises:
        StoreError: The store can't be written.
    """
    base = f"{folder}/" if folder else ""
    names = [f"{sheet.name}.png" for sheet in sheets]
    for name in _earlier_sheets(store, base).difference(names):
        store.remove(f"{base}sheets/{name}")
    facts = provenance(sheets=names)
    store.write_json(f"{base}audit.json", {**audit.model_dump(mode="json"), "provenance": facts})
    for name, sheet in zip(names, sheets, strict=True):
        store.write_bytes(f"{base}sheets/{name}", sheet.png)
    footer = f"dfd {facts['dfd']}, {facts['created_at']}"
    return store.write_bytes(f"{base}index.html", page(audit, sheets, title, footer).encode())


def page(audit: Audit, sheets: Sequence[Sheet], title: str, footer: str) -> str:
    """The page, with everything in it."""
    return render(
        "audit/audit.html",
        {"code": _code},
        title=title,
        audit=audit,
        scores=score_table(audit.scores),
        charts=[_chart(histogram) for histogram in audit.histograms if len(histogram.rows) > 1],
        same=[_alike(histogram) for histogram in audit.histograms if len(histogram.rows) == 1],
        sheets=[(sheet.title, "data:image/jpeg;base64," + base64.b64encode(sheet.jpeg).decode()) for sheet in sheets],
        footer=footer,
    )


def _earlier_sheets(store: Store, base: str) -> set[str]:
    """The sheets that are there of an audit that was written to the same place."""
    try:
        said = store.read_json(f"{base}audit.json")["provenance"]["sheets"]
        return set(said).intersection(store.names(f"{base}sheets"))
    except (StoreError, KeyError, TypeError):  # none, an older one, or something else of that name
        return set()


class ScoreTable(NamedTuple):
    """The shortcut scores as people read them.

    Attributes:
        header: `dataset`, `generator`, `all`, the properties that say something, `real`, `generated`.
        rows: A row per generator: the AUROC of all properties together, then of each alone; a dash where none was
            measured; then how many files.
        silent: The properties that are 0.50 for every generator, and have no column.
    """

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    silent: tuple[str, ...]


def score_table(scores: Sequence[Score]) -> ScoreTable:
    """The table of scores without the columns that say nothing."""
    keys = list(dict.fromkeys((score.dataset, score.generator) for score in scores))
    found = {(score.dataset, score.generator, score.prop): score for score in scores}
    cells = {prop: [_auroc(found[*key, prop]) for key in keys] for prop in _COLUMNS}
    silent = [prop for prop in PROPERTIES if "0.50" in cells[prop] and set(cells[prop]) <= {"0.50", _NONE}]
    shown = [prop for prop in _COLUMNS if prop not in silent]
    rows = []
    for row, key in enumerate(keys):
        together = found[*key, _COLUMNS[0]]
        rows.append((*key, *(cells[prop][row] for prop in shown), str(together.n_real), str(together.n_fake)))
    header = ("dataset", "generator", *map(_words, shown), "real", "generated")
    return ScoreTable(header, rows, tuple(map(_words, silent)))


def _auroc(score: Score) -> str:
    return _NONE if score.auroc is None else f"{score.auroc:.2f}"


def _words(prop: str) -> str:
    return prop.replace("_", " ")


def _code(text: str) -> str:
    """Names between backticks as code; a text with an odd one stays as it is."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup().join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def _chart(histogram: Histogram) -> dict[str, Any]:
    """Bars in percent of each class, the longest 100 wide."""
    n_real, n_fake = histogram.totals()
    shares = [(name, real, fake, 100 * real / n_real, 100 * fake / n_fake) for name, real, fake in histogram.rows]
    return {"dataset": histogram.dataset, "prop": _words(histogram.prop), "rows": shares}


def _alike(histogram: Histogram) -> tuple[str, str, str]:
    return histogram.dataset, _words(histogram.prop), histogram.rows[0][0]
