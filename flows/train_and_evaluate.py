"""The flow that trains detectors and evaluates them on every generator."""

from __future__ import annotations

from prefect import flow

from dfd_core.config import RunConfig
from dfd_core.pipeline import RunInputs
from flows.extract import find_inputs
from tasks.run_states import cancellable_flow
from tasks.steps import fit_detectors, fit_hierarchies, tabulate_results


@flow(name="train-and-evaluate", flow_run_name="train and evaluate {config.name}")
@cancellable_flow
def train_and_evaluate_flow(config: RunConfig, inputs: RunInputs | None = None) -> str:
    """Fits every detector that is missing, scores all test samples and computes every metric.

    Args:
        config: The run.
        inputs: What the flow `extract` gave; without it they are looked up. The features must be there.

    Returns:
        The path of the results in the store.
    """
    inputs = inputs or find_inputs(config)
    fit_detectors(config, inputs)
    if config.hierarchies:
        fit_hierarchies(config, inputs)
    return tabulate_results(config, inputs)
