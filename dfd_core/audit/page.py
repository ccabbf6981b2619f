"""An audit as files: JSON for machines, one page for people, contact sheets beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from dfd_core.audit.findings import Audit, Histogram, Score
from dfd_core.audit.sheets import Sheet
from dfd_core.errors import StoreError
from dfd_core.manifests.headers_vector import PROPERTIES
from dfd_core.provenance import provenance
from dfd_core.storage import Store
from dfd_core.templates import render

_COLUMNS = ("all", *PROPERTIES)


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
        header=score_header(),
        scores=score_rows(audit.scores),
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


def score_header() -> tuple[str, ...]:
    """The columns of the table of shortcut scores."""
    return ("dataset", "generator", *(prop.replace("_", " ") for prop in _COLUMNS), "real", "generated")


def score_rows(scores: Sequence[Score]) -> list[tuple[str, ...]]:
    """A row per generator: the AUROC of all properties together, then of each alone; a dash where none was measured."""
    rows = []
    for key in dict.fromkeys((score.dataset, score.generator) for score in scores):
        own = {score.prop: score for score in scores if (score.dataset, score.generator) == key}
        values = ["–" if own[prop].auroc is None else f"{own[prop].auroc:.2f}" for prop in _COLUMNS]
        rows.append((*key, *values, str(own["all"].n_real), str(own["all"].n_fake)))
    return rows


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
    return {"dataset": histogram.dataset, "prop": histogram.prop.replace("_", " "), "rows": shares}


def _alike(histogram: Histogram) -> tuple[str, str, str]:
    return histogram.dataset, histogram.prop.replace("_", " "), histogram.rows[0][0]
