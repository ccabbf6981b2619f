"""`dfd throughput`: how fast this machine extracts with one's own backbones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def throughput(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG.yaml", help="A run's configuration: its backbones and how it extracts."),
    ] = None,
    backbone: Annotated[
        list[str] | None, typer.Option("--backbone", metavar="NAME", help="Instead of the configuration's; repeatable.")
    ] = None,
    images: Annotated[int | None, typer.Option("--images", min=8, help="How many; 128 by default.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Of one's own images; by default 256-px JPEG files are made.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="In torch's words: cpu, cuda, cuda:1; the CPU by default.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", help="Where the same is added as JSON lines; by default benchmarks.jsonl.")
    ] = None,
) -> None:
    """Measures extraction on this machine.

    From files to Parquet against the bare float32 network on ready tensors, by turns, medians of three. Prints
    the reference, ours, the ratio and the cosine between the vectors, and which stage holds up the others.
    """
    from dfd_core.backbones import BACKBONES, BackboneSpec
    from dfd_core.config import load_config
    from dfd_core.errors import UsageError
    from dfd_core.throughput import measure_and_tell
    from flows.starting import log_plainly

    run = load_config(config)
    specs = [BackboneSpec(name=name) for name in backbone] if backbone else list(run.backbones)
    networks = [spec for spec in specs if BACKBONES[spec.name].library != "spectrum"]
    if not networks:
        raise UsageError("There is no network among the backbones, and only networks have a forward pass to measure.")
    log_plainly("dfd_core")
    print(measure_and_tell(networks, (folder, images), run.extraction, device, log))
