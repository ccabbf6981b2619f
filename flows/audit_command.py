"""`dfd audit`: what is wrong with images before anything is computed from them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import DEFAULT_STORE
from flows.terminal import Line

if TYPE_CHECKING:
    from dfd_core.audit import Audit, AuditSpec
    from dfd_core.audit.duplicates import NearGroups
    from dfd_core.audit.gathering import Evidence
    from dfd_core.config import RunConfig
    from dfd_core.storage import Store

_CONFIGS = (".yaml", ".yml")


def audit(  # noqa: PLR0913, PLR0917  # a command has as many parameters as options
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER|MANIFEST|NAME|CONFIG",
            help="Folders of images, .parquet manifests, names of prepared datasets, or the configuration of one run, "
            "for all its datasets.",
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", metavar="URL", help="Folder for the page, contact sheets and JSON.")
    ] = "dfd-audit",
    as_json: Annotated[bool, typer.Option("--json", help="Print the audit as JSON instead of tables.")] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="SEVERITY",
            help="Exit with code 3 if there is a finding of this severity (info, warning, error) or worse.",
        ),
    ] = None,
    near_duplicates: Annotated[
        bool | None,
        typer.Option("--near-duplicates/--no-near-duplicates", help="Look for near duplicates, decoding every image."),
    ] = None,
    group_pattern: Annotated[
        str | None,
        typer.Option("--group-pattern", metavar="REGEX", help="Pattern that finds a file's group in its path."),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option("--groups", metavar="URL", help="Write near duplicates there as CSV, for `groups:` of a dataset."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="URL",
            help="Store with the named datasets; it also remembers what was found in each file.",
            show_default=f"{DEFAULT_STORE}, where it exists",
        ),
    ] = None,
) -> None:
    """Looks for broken files, duplicates, and whatever gives the label away.

    Writes a page with contact sheets, and prints what was found and what to do about it. It needs no network and
    changes no label. With a store, running the same command again examines only new and changed files. The `audit`
    section of a configuration applies where no option says otherwise.

    Exit codes: 0 audited, 1 it could not be, 2 wrong usage, 3 a finding as severe as --fail-on or worse.
    """
    from dfd_core.audit import SEVERITIES, AuditSpec, near_groups, write_audit
    from dfd_core.audit.sheets import contact_sheets
    from dfd_core.errors import UnknownNameError, UsageError
    from dfd_core.storage import Store
    from flows import starting

    if fail_on is not None and fail_on not in SEVERITIES:
        raise UnknownNameError("severity", fail_on, SEVERITIES)
    config = _configuration(places, group_pattern, store)
    asked = {"fail_on": fail_on, "near_duplicates": near_duplicates}
    own = config.audit.model_dump() if config is not None and config.audit is not None else {}
    spec = AuditSpec.model_validate({**own, **{key: value for key, value in asked.items() if value is not None}})
    if groups is not None and not spec.near_duplicates:
        raise UsageError("--groups writes near duplicates, and they are not looked for: --near-duplicates does it.")
    with starting.stoppable():
        if config is None:
            found, evidence = _audit_places(places, spec, group_pattern, store)
        else:
            found, evidence = _audit_datasets(config, spec)
        names = ", ".join(dict.fromkeys(evidence.frame["dataset"]))
        sheets = list(contact_sheets(evidence, spec.seed, Line("contact sheets")))
        page = write_audit(Store(out), "", found, sheets, f"Audit of {names}")
        if groups is not None:
            _write_groups(groups, near_groups(evidence, spec))
    if as_json:
        print(found.model_dump_json(indent=2))
        print(page, file=sys.stderr)
    else:
        _tell(found)
        print(page)
    raise typer.Exit(found.exit_code(spec.fail_on))


def _write_groups(place: str, found: NearGroups) -> None:
    from dfd_core.storage import Store
    from dfd_core.wording import counted

    folder, _, file = place.rpartition("/")
    Store(folder or ".").write_bytes(file, found.table.to_csv(index=False).encode())
    sets = len(found.table[["dataset", "group"]].drop_duplicates())
    told = f"{place}: {counted(len(found.table), 'file')} in {counted(sets, 'group')}"
    if found.elsewhere:
        told += (
            f"; {counted(found.elsewhere, 'file')} more are near files of other datasets alone. Groups hold within a "
            "dataset: make one dataset of both folders, or don't train on one and test on the other"
        )
    print(f"{told}.", file=sys.stderr)


def _audit_places(
    places: list[str], spec: AuditSpec, group_pattern: str | None, store: str | None
) -> tuple[Audit, Evidence]:
    from dfd_core.audit import audit_places
    from dfd_core.storage import Store

    known = Store(store or DEFAULT_STORE)
    memory = known if store is not None or known.exists("") else None
    return audit_places([_place(one, known) for one in places], spec, group_pattern, Line("files"), memory)


def _audit_datasets(config: RunConfig, spec: AuditSpec) -> tuple[Audit, Evidence]:
    from dfd_core.audit import audit_manifests
    from dfd_core.manifests import prepare
    from dfd_core.storage import Store

    store = Store(config.store)
    manifests = [prepare(source, config.split, store, Line(source.name)) for source in config.datasets]
    return audit_manifests(store, manifests, spec, Line("files"))


def _place(place: str, store: Store) -> str:
    """A place that is there, or the manifest of a dataset of that name.

    Raises:
        UsageError: The dataset is known but not prepared, or more than once.
    """
    from dfd_core.datasets import DATASETS
    from dfd_core.datasets.own_cards import own_cards
    from dfd_core.errors import UsageError
    from dfd_core.manifests.standing import standing

    if "/" in place or place.endswith(".parquet") or Path(place).exists():
        return place
    addresses = sorted(store.url(manifest.path) for manifest in standing(place, store))
    if len(addresses) > 1:
        raise UsageError(
            f"{store.url()} has {len(addresses)} manifests of {place}, of other files, options or splits each. Name "
            f"the one to audit: {', '.join(addresses)}."
        )
    if not addresses and (place in DATASETS or place in own_cards(store)):
        raise UsageError(
            f"There is no folder {place}, and {store.url()} has no manifest of the dataset of that name. Make it with "
            f"`dfd datasets prepare {place}`, or say with --store where it is."
        )
    return addresses[0] if addresses else place


def _configuration(places: list[str], group_pattern: str | None, store: str | None) -> RunConfig | None:
    """The configuration that is named instead of folders and manifests."""
    from dfd_core.errors import UsageError

    if not any(place.endswith(_CONFIGS) for place in places):
        return None
    if len(places) > 1 or group_pattern is not None:
        raise UsageError("A configuration is audited alone; its own `group_pattern` says which files belong together.")
    from dfd_core.config import load_config

    return load_config(Path(places[0]), store=store)


def _tell(found: Audit) -> None:
    from dfd_core.audit.page import score_table
    from dfd_core.wording import counted
    from flows.terminal import narrower

    table = score_table(found.scores)
    if table.rows:
        print("AUROC of each property of the files alone (0.5 is chance)")
        print(narrower(table.header, table.rows, names=2))
        if table.silent:
            print(f"0.50 everywhere: {', '.join(table.silent)}")
        print()
    for note in found.notes:
        print(note)
    print()
    for finding in found.findings:
        print(f"{finding.severity.upper()}  {finding.kind.replace('_', ' ')}: {finding.where}")
        print(f"  {finding.message}\n  -> {finding.advice}")
        for line in finding.evidence[:3]:
            print(f"     {line}")
    counts = {
        severity: sum(f.severity == severity for f in found.findings) for severity in ("error", "warning", "info")
    }
    print("\n" + ", ".join(str(n) + " info" if one == "info" else counted(n, one) for one, n in counts.items()))
