"""What is to be extracted, and what could not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dfd_core.config import RunConfig
from dfd_core.errors import EvaluationError, TooManyFailuresError
from dfd_core.features.ledger import Ledger, load_ledger
from dfd_core.features.planning import ExtractionPlan, WantedSamples, plan_extraction
from dfd_core.features.sets import FeatureSet
from dfd_core.pipeline.inputs import FeatureSets, Manifests
from dfd_core.storage import Store


class Failure(NamedTuple):
    """A file that has no vector in a feature set."""

    feature_set: FeatureSet
    sample_id: str
    path: str
    status: str
    error: str


def plan_features(config: RunConfig, manifests: Manifests, feature_sets: FeatureSets) -> ExtractionPlan:
    """What is still to be extracted."""
    tables = {name: manifest.table for name, manifest in manifests.items()}
    size, retry = config.extraction.shard_size, config.retry_failed
    return plan_extraction(Store(config.store), tables, feature_sets, size, retry, keep_ledgers=True)


def check_features(config: RunConfig, manifests: Manifests, feature_sets: FeatureSets) -> list[Failure]:
    """Names every file that has no vector, once extraction has gone over all of them.

    Raises:
        TooManyFailuresError: More than `max_failed_fraction` in a feature set.
        EvaluationError: Samples were never extracted.
    """
    store = Store(config.store)
    never, failures = 0, []
    found: dict[str, list[Failure]] = {}
    samples = {name: WantedSamples(manifest.table) for name, manifest in manifests.items()}
    for feature_set in feature_sets:
        table = manifests[feature_set.dataset].table
        ledger = load_ledger(store, feature_set.folder, keep=True)
        wanted = samples[feature_set.dataset]
        never += len(wanted) - wanted.compare([ledger], retry_failed=False)
        found[feature_set.folder] = _failures(feature_set, table, ledger)
    if never:
        raise EvaluationError(f"{never} vectors were never extracted. Extract them first: `dfd extract CONFIG`.")
    for feature_set in feature_sets:
        own = found[feature_set.folder]
        _check_share(feature_set, own, len(manifests[feature_set.dataset].table), config.extraction.max_failed_fraction)
        failures += own
    return failures


def _failures(feature_set: FeatureSet, table: pa.Table, ledger: Ledger) -> list[Failure]:
    """The manifest's files that have no vector, sorted by path."""
    rows = ledger.failures()
    why = {one["sample_id"]: (one["status"], one["error"] or "") for one in rows.to_pylist()}
    files = table.filter(pc.is_in(table["sample_id"], value_set=rows["sample_id"].combine_chunks()))
    named = zip(files["path"].to_pylist(), files["sample_id"].to_pylist(), strict=True)
    return [Failure(feature_set, sample_id, path, *why[sample_id]) for path, sample_id in sorted(named)]


def _check_share(feature_set: FeatureSet, failures: Sequence[Failure], total: int, limit: float) -> None:
    if len(failures) <= limit * total:
        return
    counts = ", ".join(f"{n} {status}" for status, n in Counter(one.status for one in failures).most_common())
    first = "; ".join(f"{one.path} is {one.status} ({one.error})" for one in failures[:3])
    raise TooManyFailuresError(
        f"{len(failures)} of {total} files have no vector in {feature_set.title}: {counts}. First: {first}. That is "
        f"more than extraction.max_failed_fraction = {limit:g}. Mend or remove the files, or raise the limit; "
        "what is finished is kept, and --retry-failed tries the failed ones again."
    )
