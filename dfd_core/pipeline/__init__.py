"""The whole way, step by step: prepare, extract, train and evaluate, report. Each step does only what is missing.

Flows call these functions one by one, and so does `in_process`. What carries out the jobs of training is an `Engine`.
"""

from dfd_core.pipeline.auditing import audit, audit_folder, hold_to, is_to_be_repeated, read_audit, report_section
from dfd_core.pipeline.detectors import (
    Trained,
    plan_run_hierarchies,
    plan_training,
    train,
    train_hierarchies,
)
from dfd_core.pipeline.engine import Engine
from dfd_core.pipeline.features import Failure, check_features, plan_features
from dfd_core.pipeline.inputs import RunInputs, all_rows, find_inputs, samples_of, with_imports
from dfd_core.pipeline.metadata import metadata_sets, missing_metadata, read_metadata
from dfd_core.pipeline.reporting import Report, catalogue_notes, find_report, report
from dfd_core.pipeline.results import ResultsPlan, plan_results, results_path, tabulate

__all__ = [
    "Engine",
    "Failure",
    "Report",
    "ResultsPlan",
    "RunInputs",
    "Trained",
    "all_rows",
    "audit",
    "audit_folder",
    "catalogue_notes",
    "check_features",
    "find_inputs",
    "find_report",
    "hold_to",
    "is_to_be_repeated",
    "metadata_sets",
    "missing_metadata",
    "plan_features",
    "plan_results",
    "plan_run_hierarchies",
    "plan_training",
    "read_audit",
    "read_metadata",
    "report",
    "report_section",
    "results_path",
    "samples_of",
    "tabulate",
    "train",
    "train_hierarchies",
    "with_imports",
]
