"""The command line `dfd`.

Results go to standard output, its last line is the address of what was made; logs go to standard error. Exit codes: 0
done, 1 failed, 2 wrong usage, 3 an audit with findings that it was told to fail on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dfd_core import __version__
from dfd_core.errors import DfdError
from flows import (
    audit_command,
    catalogue_commands,
    check_command,
    features_commands,
    grid_command,
    server_commands,
    throughput_command,
)
from flows.options import Config, DryRun, Local, OtherStore, RetryFailed

EXAMPLES = """
\b
Examples:
  dfd run                          the embedded default: simulated images, about two minutes on two cores
  dfd run mine.yaml --dry-run      what exists and what would be computed
  dfd run mine.yaml                all of it; run again, it does only what is missing
  dfd config show > mine.yaml      a configuration to start from
"""

app = typer.Typer(
    name="dfd",
    help="Finds out which detectors of AI-generated images hold up on generators they never saw.\n" + EXAMPLES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(catalogue_commands.datasets, name="datasets")
app.add_typer(catalogue_commands.backbones, name="backbones")
app.add_typer(catalogue_commands.augmentations, name="augmentations")
app.add_typer(catalogue_commands.classifiers, name="classifiers")
app.add_typer(catalogue_commands.reducers, name="reducers")
app.add_typer(features_commands.app, name="features")
app.add_typer(server_commands.app, name="server")
config_app = typer.Typer(
    help="Print a configuration.",
    epilog="Example: dfd config show > mine.yaml",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(config_app, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dfd {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: dfd run mine.yaml --store s3://bucket/dfd")
def run(
    config: Config = None,
    store: OtherStore = None,
    dry_run: DryRun = False,
    local: Local = False,
    retry_failed: RetryFailed = False,
) -> None:
    """Goes the whole way, from datasets to a report.

    Prepares, extracts, evaluates and reports; each step does only what is missing.
    """
    _start("run", config, store, dry_run, local, retry_failed)


@app.command(epilog="Example: dfd prepare mine.yaml --dry-run")
def prepare(config: Config = None, store: OtherStore = None, dry_run: DryRun = False, local: Local = False) -> None:
    """Downloads the datasets and writes their manifests.

    A manifest has a row for each image, with its label, generator, split and digest.
    """
    _start("prepare", config, store, dry_run, local)


@app.command(epilog="Example: dfd extract mine.yaml --retry-failed")
def extract(
    config: Config = None,
    store: OtherStore = None,
    dry_run: DryRun = False,
    local: Local = False,
    retry_failed: RetryFailed = False,
) -> None:
    """Extracts the features that are missing.

    For every dataset, augmentation and backbone; prepares the datasets first.
    """
    _start("extract", config, store, dry_run, local, retry_failed)


@app.command(epilog="Example: dfd evaluate mine.yaml --retry-failed")
def evaluate(
    config: Config = None,
    store: OtherStore = None,
    dry_run: DryRun = False,
    local: Local = False,
    retry_failed: RetryFailed = False,
) -> None:
    """Fits every detector of the protocol and measures it on every test set.

    The features must exist. The results are one long table with a row for each detector, test set and metric.
    """
    _start("evaluate", config, store, dry_run, local, retry_failed)


@app.command(epilog="Example: dfd report mine.yaml")
def report(config: Config = None, store: OtherStore = None, dry_run: DryRun = False, local: Local = False) -> None:
    """Writes the report: tables, figures and a page.

    The results must exist.
    """
    _start("report", config, store, dry_run, local)


app.command(epilog=check_command.EXAMPLE)(check_command.check)
app.command(epilog="Example: dfd audit faces/ --group-pattern 'n[0-9]+' --fail-on error")(audit_command.audit)
app.command(epilog="Example: dfd throughput mine.yaml --images 256")(throughput_command.throughput)
app.command(epilog=grid_command.EXAMPLES)(grid_command.grid)


@config_app.command("show", epilog="Example: dfd config show > mine.yaml")
def config_show(config: Config = None) -> None:
    """Prints a configuration with all its defaults."""
    from dfd_core.config import dump_config, load_config

    sys.stdout.write(dump_config(load_config(config)))


def main() -> None:
    """Entry point of the command `dfd`."""
    try:
        app()
    except DfdError as error:
        print(f"dfd: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _start(
    step: str, config: Path | None, store: str | None, dry_run: bool, local: bool, retry_failed: bool = False
) -> None:
    from dfd_core.config import load_config
    from flows import starting

    configured = load_config(config, store=store, retry_failed=retry_failed or None)
    starting.start(step, configured, dry_run=dry_run, local=local)


if __name__ == "__main__":
    main()
