"""The flow that goes the whole way."""

from __future__ import annotations

from prefect import flow

from dfd_core.config import RunConfig
from flows.extract import extract_flow
from flows.report import report_flow
from flows.train_and_evaluate import train_and_evaluate_flow
from tasks.cluster import ray_kept_open
from tasks.run_states import cancellable_flow


@flow(name="run", flow_run_name="run {config.name}")
@cancellable_flow
def run_flow(config: RunConfig) -> str:
    """Prepare, extract, train and evaluate, report; each does only what is missing.

    Returns:
        The report's folder in the store.
    """
    with ray_kept_open():
        inputs = extract_flow(config)
        train_and_evaluate_flow(config, inputs)
        return report_flow(config, inputs)
