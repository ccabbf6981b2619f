"""The flow of `dfd grid`: detectors on vectors that exist already, without images, backbones and extraction."""

from __future__ import annotations

from prefect import flow

from dfd_core.config import RunConfig
from flows.extract import find_inputs
from flows.report import report_flow
from flows.train_and_evaluate import train_and_evaluate_flow
from tasks.cluster import ray_kept_open
from tasks.run_states import cancellable_flow


@flow(name="grid", flow_run_name="grid {config.name}")
@cancellable_flow
def grid_flow(config: RunConfig) -> str:
    """Import, train and evaluate, report; each does only what is missing.

    Returns:
        The path of the results in the store.
    """
    with ray_kept_open():
        inputs = find_inputs(config)
        results = train_and_evaluate_flow(config, inputs)
        report_flow(config, inputs)
        return results
