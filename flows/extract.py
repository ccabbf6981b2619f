"""The flow that extracts features."""

from __future__ import annotations

from prefect import flow

from dfd_core.config import RunConfig
from dfd_core.pipeline import RunInputs
from flows.prepare import prepare_flow
from tasks.run_states import cancellable_flow
from tasks.steps import audit_datasets, extract_features, import_tables, read_metadata, resolve_backbone


@flow(name="extract", flow_run_name="extract {config.name}")
@cancellable_flow
def extract_flow(config: RunConfig) -> RunInputs:
    """Extracts the features of every dataset x augmentation x backbone that are not in the store yet.

    Where the configuration says so, the images are audited before.

    Returns:
        References to the manifests and backbones, for the flows that follow.
    """
    inputs = find_inputs(config)
    if config.datasets:
        if config.audit is not None:
            audit_datasets(config, inputs)
        extract_features(config, inputs)
        read_metadata(config, inputs)
    return inputs


def find_inputs(config: RunConfig) -> RunInputs:
    """Finds the weights, prepares datasets and imports tables, where that is not done yet; called within a flow."""
    futures = [resolve_backbone.submit(spec) for spec in config.backbones if config.datasets]
    backbones = tuple(future.result() for future in futures)
    manifests = prepare_flow(config) if config.datasets else {}
    inputs = RunInputs(manifests=manifests, backbones=backbones)
    return import_tables(config, inputs) if config.features else inputs
