"""`dfd datasets|backbones|augmentations|classifiers|reducers list` and `show`: what there is to choose from.

Only catalogues are read here, no heavy library, so that a listing feels instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from dfd_core.registry import Registry
from dfd_core.specs import Spec
from flows import datasets_commands
from flows.options import Markdown
from flows.terminal import format_facts, format_table, plain

Row = Mapping[str, Any]
Entry = Annotated[str, typer.Argument(metavar="NAME", help="One of the names that `list` prints.")]


def catalogue(
    kind: str,
    plural: str,
    example: str,
    registry: Callable[[], Registry[Any]],
    row: Callable[[str, Any], Row],
    facts: Callable[[str, Any], Row],
) -> typer.Typer:
    """The commands `list` and `show` of one registry.

    Args:
        kind: What an entry is, in the singular.
        plural: The same in the plural.
        example: An entry's name, for the help.
        registry: Gives the registry; called when a command runs.
        row: An entry's line in the list.
        facts: All that is known about an entry.
    """
    app = typer.Typer(
        help=f"List and show {plural}.",
        epilog=f"Example: dfd {plural} list",
        no_args_is_help=True,
        rich_markup_mode=None,
    )

    def list_entries(markdown: Markdown = False) -> None:
        print(format_table([row(name, entry) for name, entry in registry().items()], markdown))

    def show_entry(name: Entry) -> None:
        print(format_facts(facts(name, registry()[name])), end="")

    app.command("list", help=f"Lists the {plural}.", epilog=f"Example: dfd {plural} list")(list_entries)
    app.command(
        "show", help=f"Shows all that is known about one {kind}.", epilog=f"Example: dfd {plural} show {example}"
    )(show_entry)
    return app


def _backbones() -> Registry[Any]:
    from dfd_core.backbones import BACKBONES

    return BACKBONES


def _augmentations() -> Registry[Any]:
    from dfd_core.augmentations import AUGMENTATIONS

    return AUGMENTATIONS


def _classifiers() -> Registry[Any]:
    from dfd_core.classifiers import CLASSIFIERS

    return CLASSIFIERS


def _reducers() -> Registry[Any]:
    from dfd_core.reducers import REDUCERS

    return REDUCERS


def _option_lines(options: type[Spec]) -> list[str]:
    return [f"{name}: {field.get_default()!r} by default" for name, field in options.model_fields.items()]


datasets = datasets_commands.commands()
backbones = catalogue(
    "backbone", "backbones", "clip_vit_b16", _backbones,
    lambda name, card: {
        "name": name, "what": card.title, "D": card.dimension, "input": card.input_size or "as it is",
        "weights": card.default_weights, "licence": card.licence,
    },
    lambda _, card: {**plain(card), "options": _option_lines(card.options_type)},
)  # fmt: skip
augmentations = catalogue(
    "augmentation", "augmentations", "jpeg_q75", _augmentations,
    lambda name, spec: {"name": name, "what": spec.describe()},
    lambda _, spec: plain(spec),
)  # fmt: skip
classifiers = catalogue(
    "classifier", "classifiers", "logistic_regression", _classifiers,
    lambda name, card: {"name": name, "what": card.title},
    lambda name, card: {"name": name, "what": card.title, "options": _option_lines(card.options)},
)  # fmt: skip
reducers = catalogue(
    "reducer", "reducers", "standardize", _reducers,
    lambda name, card: {"name": name, "what": card.title},
    lambda name, card: {"name": name, "what": card.title, "options": _option_lines(card.options)},
)  # fmt: skip
