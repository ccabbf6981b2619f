"""Reports: results as Parquet, CSV, Markdown and one self-contained page."""

from dfd_core.reports.report import ReportInput, write_report
from dfd_core.reports.spec import ReportSpec
from dfd_core.reports.tables import Table, matrix_tables, summary_table, text_table

__all__ = ["ReportInput", "ReportSpec", "Table", "matrix_tables", "summary_table", "text_table", "write_report"]
