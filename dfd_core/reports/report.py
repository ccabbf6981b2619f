"""Everything that a run found out, in one folder: tables for machines, and one page for people."""

from __future__ import annotations

import base64
import importlib.resources
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from dfd_core.evaluation.metrics import METRICS
from dfd_core.evaluation.protocols import ProtocolSpec
from dfd_core.features.precision import PrecisionCheck
from dfd_core.features.table import FeatureTable
from dfd_core.provenance import provenance
from dfd_core.reports.sections import (
    Failures,
    Picture,
    Section,
    detectors_section,
    failures_section,
    heatmap_section,
    map_section,
    precision_section,
    protocol_section,
    results_section,
)
from dfd_core.reports.tables import matrix_tables, summary_table
from dfd_core.storage import Store

FIGURES = "figures"


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of.

    Attributes:
        title: The run's name.
        results: The long table of all detectors.
        frame: Rows of the manifests of all datasets.
        protocol: The protocol that was followed.
        features: Vectors by backbone, then by dataset and augmentation, for the maps; without them there are none.
        failures: (path, status, error) of the files without a vector, by feature set, sets without failures too.
        notes: What a reader must know before anything else, such as that a dataset is simulated.
        precision: How close each reduced precision stays to float32.
        heatmap_metrics: The metrics that are drawn.
        seed: Of the maps.
        footer: Where the report comes from, a line each: versions, store, time.
    """

    title: str
    results: pa.Table
    frame: pd.DataFrame
    protocol: ProtocolSpec
    features: Mapping[str, Mapping[tuple[str, str], FeatureTable]] = field(default_factory=dict)
    failures: Failures = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    precision: Sequence[PrecisionCheck] = ()
    heatmap_metrics: tuple[str, ...] = ("accuracy", "auroc")
    seed: int = 0
    footer: tuple[str, ...] = ()


def write_report(store: Store, folder: str, report: ReportInput) -> str:
    """Writes results.parquet, results.csv, results.md, report.md, figures/*.png and, last, index.html.

    Returns:
        The address of index.html; it needs neither network nor the other files.

    Raises:
        StoreError: The store can't be written.
    """
    sections = _sections(report)
    facts = provenance(title=report.title, protocol=report.protocol.model_dump(mode="json"))
    store.write_table(f"{folder}/results.parquet", report.results, facts)
    store.write_bytes(f"{folder}/results.csv", _csv(report.results))
    store.write_bytes(f"{folder}/results.md", _results_markdown(report.results).encode())
    for section in sections:
        for picture in section.pictures:
            store.write_bytes(f"{folder}/{FIGURES}/{picture.name}", picture.data)
    store.write_bytes(f"{folder}/report.md", _markdown(report, sections).encode())
    return store.write_bytes(f"{folder}/index.html", _html(report, sections).encode())


def _sections(report: ReportInput) -> list[Section]:
    sections = [results_section(report.results), detectors_section(report.results)]
    sections += [heatmap_section(report.results, metric) for metric in report.heatmap_metrics]
    if report.features:
        sections.append(map_section(report.frame, report.features, report.seed))
    return [
        *sections,
        protocol_section(report.frame, report.protocol),
        *([precision_section(report.precision)] if report.precision else []),
        failures_section(report.failures),
    ]


def _csv(results: pa.Table) -> bytes:
    out = io.BytesIO()
    pyarrow.csv.write_csv(results, out)
    return out.getvalue()


def _results_markdown(results: pa.Table) -> str:
    tables = [summary_table(results), *(table for metric in METRICS for table in matrix_tables(results, metric))]
    return "# Results\n\n" + "\n".join(table.markdown() for table in tables)


def _markdown(report: ReportInput, sections: list[Section]) -> str:
    lines = [f"# {report.title}", *(f"> {note}" for note in report.notes)]
    for section in sections:
        lines += [f"## {section.title}", *section.text, *(table.markdown() for table in section.tables)]
        lines += [f"![{picture.caption}]({FIGURES}/{picture.name})" for picture in section.pictures]
    return "\n\n".join(lines) + "\n"


def _html(report: ReportInput, sections: list[Section]) -> str:
    from jinja2 import Environment, StrictUndefined

    source = importlib.resources.files("dfd_core.reports").joinpath("report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(source, globals={"data_uri": _data_uri})
    return template.render(title=report.title, notes=report.notes, sections=sections, footer=report.footer)


def _data_uri(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.data).decode()
