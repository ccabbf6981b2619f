"""Reports: results as Parquet, CSV, Markdown, LaTeX and one self-contained page, which `report.write_report` writes."""

from dfd_core.reports.accuracy import accuracy_tables
from dfd_core.reports.audit_section import audit_section
from dfd_core.reports.latex import latex
from dfd_core.reports.sections import Picture, Section
from dfd_core.reports.spec import ReportSpec
from dfd_core.reports.summaries import matrix_tables, summary_table
from dfd_core.reports.tables import Table, text_table

__all__ = [
    "Picture",
    "ReportSpec",
    "Section",
    "Table",
    "accuracy_tables",
    "audit_section",
    "latex",
    "matrix_tables",
    "summary_table",
    "text_table",
]
