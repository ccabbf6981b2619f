"""`dfd features import` and `list`: bringing vectors that exist already into a store, and what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dfd_core.errors import UsageError
from flows.options import StoreUrl, Texts
from flows.terminal import format_table

IMPORT_EXAMPLE = """
\b
Examples:
  dfd features import clip.parquet --store dfd-store
  dfd features import clip.npy --labels rows.csv --name mine --backbone clip_l14 --store dfd-store
  dfd features import real.pt fake.pt --label real --label generator=progan --split train
      --name mine --backbone clip_l14 --store dfd-store
"""

app = typer.Typer(
    help="Import and list feature sets.",
    epilog="Example: dfd features list --store dfd-store",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("import", epilog=IMPORT_EXAMPLE)
def import_files(  # noqa: PLR0913, PLR0917  # a command has as many parameters as options
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Tables (.parquet), arrays (.npy, .npz) or tensors (.pt) to import."),
    ],
    store: StoreUrl,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the import, and of the dataset where no column has it.")
    ] = None,
    backbone: Annotated[
        Texts, typer.Option("--backbone", metavar="NAME", help="Backbone that made the vectors.")
    ] = None,
    augmentation: Annotated[
        Texts, typer.Option("--augmentation", metavar="NAME", help="Augmentation of the images; none by default.")
    ] = None,
    transform: Annotated[Texts, typer.Option("--transform", hidden=True)] = None,
    split: Annotated[Texts, typer.Option("--split", help="Split of all rows: train, validation or test.")] = None,
    label: Annotated[Texts, typer.Option("--label", help="Label of all rows: real, or generator=NAME.")] = None,
    labels: Annotated[
        Texts,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="CSV or Parquet table of labels, with a row for each vector, in their order.",
        ),
    ] = None,
    embedding: Annotated[
        Texts, typer.Option("--embedding", metavar="COLUMN", help="Column or key that has the vectors.")
    ] = None,
) -> None:
    """Brings vectors that exist already into a store, as feature sets with a manifest for each dataset.

    A table has a row per image with the columns label, generator, split and embedding (a list of numbers, or columns
    f0, f1, ...), and may have sample_id, dataset, family, backbone, augmentation, group, source and category.
    Options say what the files don't: given once, an option holds for all files; given once for each file, it goes file
    by file.
    """
    from dfd_core.features.importing import import_table
    from dfd_core.features.importing_sources import ImportSource
    from dfd_core.storage import Store

    options = {
        "backbone": backbone, "augmentation": augmentation or transform, "split": split, "label": label,
        "labels": labels, "embedding": embedding,
    }  # fmt: skip
    if augmentation and transform:
        raise UsageError("--augmentation and --transform mean the same. Give one of them.")
    by_file = [{"file": file, "dataset": name} | _own(options, index, len(files)) for index, file in enumerate(files)]
    place = Store(store)
    imported = import_table(place, [_source(ImportSource, values) for values in by_file], name)
    for note in imported.notes:
        print(note)
    print(format_table(_imported_rows(place, imported)))
    print(place.url(imported.path))


@app.command("list", epilog="Example: dfd features list --store dfd-store")
def list_feature_sets(store: StoreUrl) -> None:
    """Lists the feature sets of a store, extracted and imported.

    With the width D, how many samples have a vector and how many failed.
    """
    from dfd_core.storage import Store

    place = Store(store)
    print(format_table(_rows(place)))
    print(place.url("features"))


def _own(options: dict[str, Texts], index: int, count: int) -> dict[str, str | None]:
    """What the options say of one of the files."""
    own: dict[str, str | None] = {}
    for name, values in options.items():
        if values and len(values) not in (1, count):
            raise UsageError(
                f"--{name} is given {len(values)} times for {count} files. Give it once for all, or once for each, in "
                "the order of the files."
            )
        own[name] = values[index if len(values) > 1 else 0] if values else None
    return own


def _source(model: Any, values: dict[str, str | None]) -> Any:
    from pydantic import ValidationError

    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = (f"--{one['loc'][0]}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors())
        raise UsageError(f"{values['file']}: {'; '.join(problems)}.") from error


def _imported_rows(store: Any, imported: Any) -> list[dict[str, Any]]:
    from dfd_core.manifests import SPLITS, Manifest

    rows = []
    for name, key in imported.manifests.items():
        frame = Manifest(store, name, key).frame
        for one in (one for one in imported.feature_sets if one.dataset == name):
            some = frame[frame["augmentation"].fillna(one.augmentation) == one.augmentation]
            rows.append(
                {
                    **{"dataset": name, "augmentation": one.augmentation, "backbone": one.backbone, "D": one.dimension},
                    **{"real": int((some["label"] == 0).sum()), "generated": int((some["label"] == 1).sum())},
                    **{split: int((some["split"] == split).sum()) for split in SPLITS},
                }
            )
    return rows


def _rows(store: Any) -> list[dict[str, Any]]:
    from dfd_core.features.ledger import load_ledger

    rows = []
    for folder in _folders(store, "features", 3):
        names = store.names(folder, ".parquet")
        if not names:
            continue
        facts = store.read_provenance(f"{folder}/{names[0]}")
        ledger = load_ledger(store, folder)
        made = facts.get("feature_set", {})
        rows.append(
            {
                "dataset": made.get("dataset", folder.split("/")[1]),
                "augmentation": _text(made.get("augmentation", made.get("transform")), folder.split("/")[2]),
                "backbone": _text(made.get("backbone"), folder.split("/")[3]),
                "D": _width(store, f"{folder}/{names[0]}"),
                "vectors": len(ledger.vectors()),
                "failed": len(ledger.failures()),
                "files": len(names),
                "import": facts.get("import", ""),
            }
        )
    return rows


def _text(value: Any, otherwise: str) -> str:
    """A name in the record of a feature set; extracted ones have whole specs there."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("spec", {}).get("name")
    return str(value or otherwise)


def _width(store: Any, path: str) -> int:
    from dfd_core.features.pages import read_width

    return read_width(store.read_buffer(path), "embedding")


def _folders(store: Any, folder: str, depth: int) -> Sequence[str]:
    if not depth:
        return [folder]
    return [one for name in store.names(folder) for one in _folders(store, f"{folder}/{name}", depth - 1)]
