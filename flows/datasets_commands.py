"""`dfd datasets list|show|guide|prepare|...`: what there is, getting it, looking after it, adding your own."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from dfd_core.datasets.sources import FolderSource
from dfd_core.errors import ConfigError, DatasetError
from dfd_core.storage import Store
from dfd_core.wording import counted, some
from flows.options import DEFAULT_STORE, Local, Markdown, StoreUrl, Texts
from flows.source_options import pairs, place_of, source_of
from flows.terminal import Line, format_facts, format_table, plain

Name = Annotated[str, typer.Argument(metavar="NAME", help="A dataset of the catalogue, or one of your own.")]
Sample = Annotated[int | None, typer.Option("--sample", min=1, help="Take only this many images of each class.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the sample.")]
MaxBytes = Annotated[
    int | None,
    typer.Option(
        "--max-bytes", min=1, help="Stop before downloading more than this: in total, or per archive with --sample."
    ),
]
DrawnSplits = Annotated[
    bool, typer.Option("--drawn-splits", help="Draw new splits, even where the publisher has fixed some.")
]
InPlace = Annotated[
    bool, typer.Option("--in-place", help="Read images from tar and uncompressed zip archives without unpacking them.")
]
Folders = Annotated[Texts, typer.Option("--folder", metavar="URL", help="Folder or bucket of your own; repeatable.")]
Table = Annotated[str | None, typer.Option("--table", metavar="URL", help="Table of your own that lists images.")]
Generator = Annotated[
    str | None, typer.Option("--generator", help="Generator of the fakes, where no folder is named after it.")
]
LayoutName = Annotated[
    str | None, typer.Option("--layout", help="How folders are named: auto (the default), generator, field or label.")
]
GroupPattern = Annotated[
    str | None,
    typer.Option(
        "--group-pattern", metavar="REGEX", help="Finds in a path what belongs together and is never parted by a split."
    ),
]
Groups = Annotated[
    str | None,
    typer.Option("--groups", metavar="URL", help="Table of paths and groups, as `dfd audit --groups` writes it."),
]
Families = Annotated[
    Texts, typer.Option("--family", metavar="GENERATOR=FAMILY", help="A generator's family; repeatable.")
]
Splits = Annotated[
    Texts, typer.Option("--split", metavar="SPLIT=URL", help="File of the paths of a split, one a line; repeatable.")
]
Keep = Annotated[
    bool, typer.Option("--keep", help="Keep it in the store, so that its name is enough in configurations.")
]
Archives = Annotated[
    bool, typer.Option("--archives", help="Also remove its archives, unless another dataset uses them.")
]
Forget = Annotated[
    bool, typer.Option("--forget", help="Also forget the recorded digests, so that a replaced file is accepted.")
]


def commands() -> typer.Typer:
    """The commands of `dfd datasets`."""
    app = typer.Typer(
        help="List, get and look after datasets.",
        epilog="Example: dfd datasets list",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    app.command("list", epilog="Example: dfd datasets list")(list_datasets)
    app.command("show", epilog="Example: dfd datasets show simulated")(show_dataset)
    app.command(epilog="Example: dfd datasets guide celeba")(guide)
    app.command(epilog="Example: dfd datasets prepare deepfakeface --sample 100")(prepare)
    app.command(epilog="Example: dfd datasets add mine --folder s3://bucket/images --keep")(add)
    app.command(epilog="Example: dfd datasets status")(status)
    app.command(epilog="Example: dfd datasets verify deepfakeface")(verify)
    app.command(epilog="Example: dfd datasets remove deepfakeface --archives")(remove)
    return app


def list_datasets(
    markdown: Markdown = False,
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """Lists the datasets of the catalogue, and your own that a store keeps."""
    from dfd_core.datasets.catalogue import DATASETS
    from dfd_core.datasets.own_cards import own_cards

    rows = [readme_row(name, card) for name, card in DATASETS.items()]
    for name, source in own_cards(Store(store)).items():
        where = ", ".join(source.folders) if isinstance(source, FolderSource) else source.table
        rows.append({**dict.fromkeys(rows[0]), "name": name, "what": where, "how": "own"})
    print(format_table(rows, markdown))


def show_dataset(name: Name, store: StoreUrl = DEFAULT_STORE) -> None:
    """Shows all that is known about one dataset."""
    from dfd_core.datasets.catalogue import DATASETS
    from dfd_core.datasets.own_cards import own_cards

    own = {} if name in DATASETS else own_cards(Store(store))
    facts = plain(own[name]) if name in own else {**plain(DATASETS[name]), "options": DATASETS[name].accepted_options()}
    print(format_facts(facts), end="")


def guide(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Dataset to describe; the whole catalogue by default.")
    ] = None,
    markdown: Markdown = False,
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """Explains how to get each dataset.

    Where its page is, what to accept or log in to, where to put files that you download by hand, and which command to
    run.
    """
    from dfd_core.datasets.catalogue import DATASETS
    from dfd_core.datasets.guide import guide as guide_to
    from dfd_core.datasets.guide import own_guide
    from dfd_core.datasets.own_cards import own_cards

    opened = Store(store)
    own = {} if name is None or name in DATASETS else own_cards(opened)
    if name is not None and name in own:
        guides = [own_guide(own[name])]
    else:
        guides = [guide_to(DATASETS[one]) for one in ([name] if name else DATASETS)]
    if markdown:
        print("\n".join(one.markdown() for one in guides))
    else:
        named = None if store == DEFAULT_STORE else store
        print("\n\n".join(one.text(opened.url(one.folder), named) for one in guides))


def prepare(  # noqa: PLR0913, PLR0917  # a command has as many parameters as options
    name: Name,
    store: StoreUrl = DEFAULT_STORE,
    sample: Sample = None,
    seed: Seed = 0,
    max_bytes: MaxBytes = None,
    in_place: InPlace = False,
    drawn_splits: DrawnSplits = False,
    local: Local = False,
) -> None:
    """Downloads a dataset and builds its manifest.

    Checks the archives, and unpacks them or reads them in place; what is there is not downloaded again. Runs as a
    Prefect flow, with progress here and in the dashboard.
    """
    from dfd_core.datasets import beforehand
    from dfd_core.datasets.acquire import needs_fetching, resolve
    from dfd_core.datasets.options import PublishedOptions

    chosen = {"sample": sample, "seed": seed, "max_bytes": max_bytes, "in_place": in_place}
    options = {key: value for key, value in {**chosen, "drawn_splits": drawn_splits}.items() if value}
    values = {"catalogue": name, "name": name, "options": options}
    source = source_of(values)
    opened = Store(store)
    if needs_fetching(source, opened):
        card, chosen_options = resolve(source)
        assert isinstance(chosen_options, PublishedOptions)
        beforehand.check(card, chosen_options, opened)  # before a server is started for nothing
    if local:
        _prepare(source, store)
        return
    _start_flow(values, store, f"dfd datasets prepare {name}")


def add(  # noqa: PLR0913, PLR0917  # a command has as many parameters as options
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name for the new dataset.")],
    store: StoreUrl = DEFAULT_STORE,
    folder: Folders = None,
    table: Table = None,
    generator: Generator = None,
    layout: LayoutName = None,
    group_pattern: GroupPattern = None,
    groups: Groups = None,
    family: Families = None,
    split: Splits = None,
    keep: Keep = False,
    local: Local = False,
) -> None:
    """Makes a dataset of your own folders, buckets or table.

    The files stay where they are and are read once, in a Prefect flow with progress here and in the dashboard. With
    --keep, `datasets: [NAME]` is enough in configurations that use the store.
    """
    from dfd_core.datasets import DATASETS, own_cards

    if name in DATASETS:
        raise ConfigError(f"The catalogue has a dataset named {name!r}. Give yours another name.")
    if bool(folder) == bool(table):
        raise ConfigError(f"Say where the images of {name} are: with --folder, once or more, or else with --table.")
    if table and generator:
        raise ConfigError("--generator goes with --folder; a table says it in its column `generator`.")
    if table and layout:
        raise ConfigError("--layout goes with --folder; a table has no folders to be named.")
    given: dict[str, Any] = {
        "folders": folder and [place_of(one) for one in folder],
        "table": table and place_of(table),
        "generator": generator,
        "layout": layout,
        "group_pattern": group_pattern,
        "groups": groups and place_of(groups),
        "families": pairs("--family", family),
        "splits": {key: place_of(value) for key, value in pairs("--split", split).items()},
    }
    values = {key: value for key, value in given.items() if value}
    source = source_of({"name": name, **values})
    if keep:
        own_cards.check_is_free(source, Store(store))
    if local:
        _prepare(source, store)
    else:
        _start_flow({"name": name, **values}, store, f"dfd datasets add {name}")
    if keep:
        print(own_cards.keep(source, Store(store)))


def status(store: StoreUrl = DEFAULT_STORE) -> None:
    """Lists the datasets of a store: what is complete, and what is half downloaded."""
    from dfd_core.datasets import inventory

    print(format_table(inventory.rows(Store(store))))


def verify(name: Name, store: StoreUrl = DEFAULT_STORE) -> None:
    """Reads a dataset's files again and compares them with its manifest, and its archives with their digests."""
    from dfd_core.datasets import inventory
    from dfd_core.manifests.verifying import verify_files
    from flows import starting

    opened = Store(store)
    with starting.stoppable():
        inventory.check_is_known(name, opened)
        wrong = inventory.verify_archives(name, opened, Line(f"archives of {name}"))
        for line in wrong:
            print(line)
        try:
            checked, bad = verify_files(name, opened, Line(f"files of {name}"))
        except DatasetError:  # its images may be gone, and its archives are wrong all the same
            if not wrong:
                raise
            checked, bad = 0, []
    for line in bad:
        print(line)
    are, archives_are = (f"{len(faulty)} {'is' if len(faulty) == 1 else 'are'}" for faulty in (bad, wrong))
    print(
        f"{counted(checked, 'file')} of {name} read, of which {are} not what the manifest says; of its archives "
        f"{archives_are} wrong."
    )
    if wrong:
        raise DatasetError(
            f"Archives of {name} are not what was recorded: `dfd datasets remove {name} --archives` removes them, with "
            "--forget their digests too, where the new ones are to be trusted. Then prepare it again."
        )
    if bad:
        raise DatasetError(f"{name} is damaged. {_remedy(name)}")


def _remedy(name: str) -> str:
    from dfd_core.datasets.catalogue import DATASETS

    if name in DATASETS:
        return f"`dfd datasets remove {name}`, then prepare it again; its archives are as they were."
    return "Its files are yours: put the right ones there again, or prepare it again where these are to count."


def remove(name: Name, store: StoreUrl = DEFAULT_STORE, archives: Archives = False, forget: Forget = False) -> None:
    """Removes a dataset's files from a store, or a dataset of your own from its list; never files outside it."""
    from dfd_core.datasets import inventory
    from flows import starting

    with starting.stoppable():
        removed = inventory.remove(
            name, Store(store), archives=archives, forget=forget, progress=Line(f"removing {name}")
        )
    for place in removed:
        print(f"removed {place}")
    if kept := inventory.manifests_of(name, Store(store)):
        print(f"kept {some(kept, 1)}, which runs refer to", file=sys.stderr)


def _prepare(source: Any, store: str) -> None:
    from dfd_core.manifests import SplitSpec
    from dfd_core.manifests import prepare as prepare_manifest
    from flows import starting

    opened = Store(store)
    with starting.stoppable():
        manifest = prepare_manifest(source, SplitSpec(), opened, Line(source.name))
    print(format_table(manifest.summary()))
    print(opened.url(manifest.path))


def _start_flow(values: dict[str, Any], store: str, command: str) -> None:
    from dfd_core.config import make_config
    from flows import starting

    config = make_config({"name": values["name"], "store": store, "datasets": [values]}, command)
    starting.start("prepare", config, dry_run=False, local=False)


def readme_row(name: str, card: Any) -> dict[str, Any]:
    """A card's line in the list of datasets."""
    hand = "download" if card.by_hand is None else "either" if card.by_hand.instead else "both"
    ways = "made" if card.make else hand if card.archives else "by hand"
    return {
        "name": name,
        "what": card.title,
        "generators": len(card.generators),
        "size": card.size_hint,
        "how": ways,
        "formats (real / fake)": " / ".join("+".join(one) or "?" for one in (card.formats.real, card.formats.fake)),
    }
