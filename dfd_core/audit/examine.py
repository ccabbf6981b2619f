"""From places to an audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dfd_core.audit import balance, broken, confounds, duplicates
from dfd_core.audit.findings import SEVERITIES, Audit, Finding
from dfd_core.audit.gathering import Evidence, check_once, from_folders, from_manifest, located, with_groups
from dfd_core.audit.reading import gathered, with_known
from dfd_core.audit.spec import AuditSpec
from dfd_core.errors import DatasetError, ManifestError, UsageError
from dfd_core.manifests.groups import group_expression
from dfd_core.manifests.manifest import Manifest
from dfd_core.manifests.places import places_of
from dfd_core.manifests.schema import validate
from dfd_core.progress import Progress
from dfd_core.storage import Store
from dfd_core.wording import counted

Check = Callable[[Evidence, AuditSpec], Iterable[Finding]]
CHECKS: tuple[Check, ...] = (broken.check, duplicates.check_exact, duplicates.check_near, balance.check)


def audit_places(
    places: Sequence[str],
    spec: AuditSpec,
    group_pattern: str | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
) -> tuple[Audit, Evidence]:
    """Audits folders and manifests as files.

    Args:
        places: Folders of images, each a dataset or a folder of datasets, or `.parquet` manifests; local or any fsspec
            URL for folders.
        spec: What to look for.
        group_pattern: Finds a sample's group in its path, in folders; manifests have their groups already.
        progress: Called with how many files were read, and of how many; may raise to stop.
        store: What is found in a file is remembered here, so that next time it is neither read nor decoded while it has
            the same place, size and stamp.

    Returns:
        The audit, and what it rests on, for contact sheets.

    Raises:
        UsageError: The pattern is no regular expression, or there are manifests only; or two places have files in
            common.
        DatasetError: A place is not there, or none of its files can be read.
        StoreError: The store can't be read or written.
    """
    if group_pattern is not None:
        group_expression(group_pattern)
    tables = [place for place in places if place.endswith(".parquet")]
    folders = [place for place in places if place not in tables]
    if group_pattern is not None and not folders:
        raise UsageError(
            f"group_pattern {group_pattern!r} is searched in the paths of folders, and {', '.join(tables)} says itself "
            "in its column `group` what belongs together. Leave the pattern out, or audit the folders."
        )
    parts: list[pd.DataFrame] = [
        _as_files(from_manifest(_manifest_table(place)).assign(given=given), store)
        for given, place in enumerate(tables, len(folders))
    ]
    notes: list[str] = []
    if folders:
        frame, notes = from_folders(folders)
        parts.append(with_known(frame.assign(sample_id=None, group=""), store))
        if group_pattern is not None and tables:
            notes.append(f"The group_pattern was searched in folders only; {', '.join(tables)} kept the groups it has.")
    files = pd.concat(parts, ignore_index=True)
    check_once(files, [*folders, *tables])
    evidence = gathered(files.drop(columns="given"), spec.near_duplicates, notes, store, progress)
    given = evidence.frame["group"].to_numpy()
    evidence = with_groups(evidence, group_pattern if folders else None)
    evidence.frame.loc[given != "", "group"] = given[given != ""]
    return examine(evidence, spec), evidence


def audit_manifests(
    store: Store, manifests: Sequence[Manifest], spec: AuditSpec, progress: Progress | None = None
) -> tuple[Audit, Evidence]:
    """Audits the manifests of a run, which were just made: a file whose digest is remembered is not read again.

    Raises:
        DatasetError: None of the files can be read.
        StoreError: The store can't be read or written.
    """
    frame = pd.concat([from_manifest(manifest.table) for manifest in manifests], ignore_index=True)
    frame = frame.assign(known=frame["sample_id"], place=None)
    evidence = gathered(frame, spec.near_duplicates, [], store, progress)
    return examine(evidence, spec), evidence


def examine(evidence: Evidence, spec: AuditSpec) -> Audit:
    """Finds out all there is to find.

    Raises:
        DatasetError: No file can be read.
    """
    if not evidence.ok.any():
        reason = evidence.headers["error"][0].as_py()
        raise DatasetError(
            f"None of {len(evidence.frame)} files can be audited. Check the place; of the first, "
            f"{evidence.frame['url'].iloc[0]}: {reason}"
        )
    histograms, scores = tuple(confounds.histograms(evidence)), tuple(confounds.scores(evidence, spec))
    found = [finding for check in CHECKS for finding in check(evidence, spec)]
    found += confounds.check(scores, histograms, spec)
    found.sort(key=lambda finding: (-SEVERITIES.index(finding.severity), finding.where, finding.kind))
    return Audit(
        findings=tuple(found),
        counts=tuple(balance.counts(evidence)),
        groups=tuple(duplicates.groups(evidence)),
        histograms=histograms,
        scores=scores,
        notes=(*evidence.notes, *_looked_at(evidence, spec)),
    )


def _looked_at(evidence: Evidence, spec: AuditSpec) -> list[str]:
    unseen = (
        "Changed bytes that still decode are mostly not seen, and in TIFF, BMP and PPM files never; in PNG files check "
        "sums show them."
    )
    if evidence.hashes is None:
        return [
            "No pixel was decoded: near duplicates were not looked for, and a file is called truncated where it lacks "
            f"its end marker. {unseen}"
        ]
    large = int((evidence.ok & ~evidence.decoded).sum())
    flat = int((evidence.ok & ~evidence.has_hash).sum()) - len(evidence.damage) - large
    left = f"; {counted(flat, 'file')} of nearly one colour {'has' if flat == 1 else 'have'} no hash" if flat else ""
    limit = " of at most 100 million pixels" if large else ""
    return [
        f"Every image{limit} was decoded, JPEG files at a reduced size, so that damage to the finest detail alone may "
        f"be missed. {unseen} Near duplicates differ by at most {spec.radius} of 255 bits{left}."
    ]


def _as_files(frame: pd.DataFrame, store: Store | None) -> pd.DataFrame:
    """The rows of a manifest of any age: what its files are now is to be looked up, or read."""
    if store is None:
        return frame.assign(known=None, place=None)
    files = located(frame)
    places = pd.Series(None, index=frame.index, dtype=object)
    for dataset, rows in frame.groupby("dataset").indices.items():
        places.iloc[rows] = places_of(files[str(dataset)])
    return with_known(frame.assign(place=places), store)


def _manifest_table(place: str) -> pa.Table:
    try:
        return validate(pq.read_table(place))
    except FileNotFoundError as error:
        raise ManifestError(f"There is no manifest {place}. `dfd prepare` writes manifests.") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise ManifestError(f"{place} is not a readable Parquet file: {error}") from error
