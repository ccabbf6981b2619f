"""`dfd datasets list|show|guide|prepare|...`: what there is, getting it, looking after it, one's own under a name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dfd_core.datasets.sources import FolderSource
from dfd_core.errors import ConfigError, DatasetError
from dfd_core.specs import is_url
from flows.terminal import Line, format_facts, format_table, plain

Store = Annotated[str, typer.Option("--store", metavar="URL", help="Where datasets are kept.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the catalogue, or of a dataset of one's own.")]
Sample = Annotated[int | None, typer.Option("--sample", min=1, help="Only so many images of each class.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Another one draws another sample.")]
MaxBytes = Annotated[
    int | None,
    typer.Option(
        "--max-bytes", min=1, help="Download no more: of all archives together, or of any archive with --sample."
    ),
]
DrawnSplits = Annotated[
    bool, typer.Option("--drawn-splits", help="Draw splits by group although the publisher fixed some.")
]
Local = Annotated[bool, typer.Option("--local", help="In this process, without Prefect.")]
InPlace = Annotated[bool, typer.Option("--in-place", help="Read images out of tar and uncompressed zip archives.")]
Folders = Annotated[list[str] | None, typer.Option("--folder", metavar="URL", help="A folder or bucket of one's own.")]
Table = Annotated[str | None, typer.Option("--table", metavar="URL", help="A table of one's own.")]
Generator = Annotated[str | None, typer.Option("--generator", help="What made the fakes, where no folder says it.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep one's own as a card in the store: later its name is enough.")]
Archives = Annotated[bool, typer.Option("--archives", help="Its archives too, unless another dataset uses them.")]
Forget = Annotated[bool, typer.Option("--forget", help="The recorded digests of its archives too.")]
DEFAULT_STORE = "dfd-store"


def commands() -> typer.Typer:
    """The commands of `dfd datasets`."""
    app = typer.Typer(
        help="The datasets there are.",
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
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
    store: Store = DEFAULT_STORE,
) -> None:
    """Lists the datasets of the catalogue, and one's own of a store."""
    from dfd_core.datasets.catalogue import DATASETS
    from dfd_core.datasets.own_cards import own_cards
    from dfd_core.storage import Store as OpenStore

    rows = [readme_row(name, card) for name, card in DATASETS.items()]
    for name, source in own_cards(OpenStore(store)).items():
        where = ", ".join(source.folders) if isinstance(source, FolderSource) else source.table
        rows.append({**dict.fromkeys(rows[0]), "name": name, "what": where, "how": "own"})
    print(format_table(rows, markdown))


def show_dataset(name: Name, store: Store = DEFAULT_STORE) -> None:
    """Shows all that is known of one dataset."""
    from dfd_core.datasets.catalogue import DATASETS
    from dfd_core.datasets.own_cards import own_cards
    from dfd_core.storage import Store as OpenStore

    own = {} if name in DATASETS else own_cards(OpenStore(store))
    facts = plain(own[name]) if name in own else {**plain(DATASETS[name]), "options": DATASETS[name].accepted_options()}
    print(format_facts(facts), end="")


def guide(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Which; all of the catalogue by default.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown list.")] = False,
    store: Store = DEFAULT_STORE,
) -> None:
    """Says how to get each dataset.

    Its page, what to accept or log in to, where files go that are fetched by hand, and the command.
    """
    from dfd_core.datasets.catalogue import DATASETS
    from dfd_core.datasets.guide import guide as guide_to
    from dfd_core.datasets.guide import own_guide
    from dfd_core.datasets.own_cards import own_cards
    from dfd_core.storage import Store as OpenStore

    opened = OpenStore(store)
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
    store: Store = DEFAULT_STORE,
    sample: Sample = None,
    seed: Seed = 0,
    max_bytes: MaxBytes = None,
    in_place: InPlace = False,
    drawn_splits: DrawnSplits = False,
    local: Local = False,
) -> None:
    """Gets a dataset and builds its manifest.

    Downloads, checks, unpacks or reads in place; what is there is not fetched again. Runs as a Prefect flow, with
    progress here and in the dashboard.
    """
    from dfd_core.datasets import published
    from dfd_core.datasets.acquire import needs_fetching, resolve
    from dfd_core.datasets.options import PublishedOptions
    from dfd_core.storage import Store as OpenStore

    chosen = {"sample": sample, "seed": seed, "max_bytes": max_bytes, "in_place": in_place}
    options = {key: value for key, value in {**chosen, "drawn_splits": drawn_splits}.items() if value}
    values = {"catalogue": name, "name": name, "options": options}
    source = _source(values)
    opened = OpenStore(store)
    if needs_fetching(source, opened):
        card, chosen_options = resolve(source)
        assert isinstance(chosen_options, PublishedOptions)
        published.check(card, chosen_options, opened)  # before a server is started for nothing
    if local:
        _prepare(source, store)
        return
    _start_flow(values, store, f"dfd datasets prepare {name}")


def add(  # noqa: PLR0913, PLR0917  # a command has as many parameters as options
    name: Annotated[str, typer.Argument(metavar="NAME", help="How it is to be called.")],
    store: Store = DEFAULT_STORE,
    folder: Folders = None,
    table: Table = None,
    generator: Generator = None,
    keep: Keep = False,
    local: Local = False,
) -> None:
    """Makes a folder, a bucket or a table of one's own a dataset.

    Its files stay where they are, and are read once, as a Prefect flow with progress here and in the dashboard. With
    --keep, `datasets: [NAME]` is enough in configurations that use the store.
    """
    from dfd_core.datasets import DATASETS, own_cards
    from dfd_core.storage import Store as OpenStore

    if name in DATASETS:
        raise ConfigError(f"The catalogue has a dataset named {name!r}. Give yours another name.")
    if bool(folder) == bool(table):
        raise ConfigError(f"Say where the images of {name} are: by --folder, once or more, or else by --table.")
    if table and generator:
        raise ConfigError("--generator goes with --folder; a table says it in its column `generator`.")
    given: dict[str, Any] = {"folders": folder and [_place(one) for one in folder], "generator": generator}
    given["table"] = table and _place(table)
    values = {key: value for key, value in given.items() if value}
    source = _source({"name": name, **values})
    if keep:
        own_cards.check_is_free(source, OpenStore(store))
    if local:
        _prepare(source, store)
    else:
        _start_flow({"name": name, **values}, store, f"dfd datasets add {name}")
    if keep:
        print(own_cards.keep(source, OpenStore(store)))


def status(store: Store = DEFAULT_STORE) -> None:
    """Lists the datasets of a store: what is there, and what is half fetched."""
    from dfd_core.datasets import inventory
    from dfd_core.storage import Store as OpenStore

    print(format_table(inventory.rows(OpenStore(store))))


def verify(name: Name, store: Store = DEFAULT_STORE) -> None:
    """Reads all files of a dataset again and compares them with its manifests, and its archives with their record."""
    from dfd_core.datasets import inventory
    from dfd_core.manifests.verifying import verify_files
    from dfd_core.storage import Store as OpenStore
    from flows import starting

    opened = OpenStore(store)
    with starting.stoppable():
        wrong = inventory.verify_archives(name, opened, Line())
        for line in wrong:
            print(line)
        try:
            checked, bad = verify_files(name, opened, Line())
        except DatasetError:  # its images may be gone, and its archives are wrong all the same
            if not wrong:
                raise
            checked, bad = 0, []
    for line in bad:
        print(line)
    print(
        f"{checked} files of {name} read, {len(bad)} are not what the manifest says; {len(wrong)} archives are wrong."
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


def remove(name: Name, store: Store = DEFAULT_STORE, archives: Archives = False, forget: Forget = False) -> None:
    """Removes a dataset's files from a store, or one's own card; never files outside it."""
    from dfd_core.datasets import inventory
    from dfd_core.storage import Store as OpenStore
    from flows import starting

    with starting.stoppable():
        removed = inventory.remove(name, OpenStore(store), archives=archives, forget=forget, progress=Line())
    for place in removed:
        print(f"removed {place}")


def _source(values: dict[str, Any]) -> Any:
    from pydantic import TypeAdapter, ValidationError

    from dfd_core.datasets import DatasetSource

    try:
        return TypeAdapter(DatasetSource).validate_python(values)
    except ValidationError as error:
        problems = "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors())
        raise ConfigError(f"{values['name']}: {problems}") from None  # what was given may hold a secret


def _prepare(source: Any, store: str) -> None:
    from dfd_core.manifests import SplitSpec
    from dfd_core.manifests import prepare as prepare_manifest
    from dfd_core.storage import Store as OpenStore
    from flows import starting

    opened = OpenStore(store)
    with starting.stoppable():
        manifest = prepare_manifest(source, SplitSpec(), opened, Line())
    print(format_table(manifest.summary()))
    print(opened.url(manifest.path))


def _start_flow(values: dict[str, Any], store: str, command: str) -> None:
    from dfd_core.config import make_config
    from flows import starting

    config = make_config({"name": values["name"], "store": store, "datasets": [values]}, command)
    starting.start("prepare", config, dry_run=False, local=False)


def _place(location: str) -> str:
    return location if is_url(location) else str(Path(location).resolve())


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
