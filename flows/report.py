"""The flow that writes the report."""

from __future__ import annotations

from prefect import flow

from dfd_core.config import RunConfig
from dfd_core.pipeline import RunInputs
from flows.extract import find_inputs
from tasks.run_states import cancellable_flow
from tasks.steps import write_report


@flow(name="report", flow_run_name="report {config.name}")
@cancellable_flow
def report_flow(config: RunConfig, inputs: RunInputs | None = None) -> str:
    """Writes tables, pictures and the report.

    Args:
        config: The run.
        inputs: What the flow `extract` gave; without it they are looked up. The results must be there.

    Returns:
        The report's folder in the store.
    """
    return write_report(config, inputs or find_inputs(config))
