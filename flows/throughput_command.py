"""`dfd throughput`: how fast this machine extracts with your own backbones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def throughput(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG.yaml",
            help="Configuration of a run, for its backbones and how it extracts; without it, the embedded default.",
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone", metavar="NAME", help="Backbone to measure instead of the configuration's; repeatable."
        ),
    ] = None,
    images: Annotated[
        int | None, typer.Option("--images", min=8, help="Number of images to measure on; 128 by default.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder with your own images; without it, 256-px JPEGs are generated."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help="Device, as torch names it: cpu, cuda, cuda:1; by default that of `dfd run`."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", help="File to append the results to, as JSON lines; by default benchmarks.jsonl."),
    ] = None,
) -> None:
    """Measures how fast this machine extracts features.

    The whole way from image files to Parquet is compared with the bare float32 network on tensors in memory, by turns,
    three times each. Prints the medians, their ratio, the cosine between the vectors, and the slowest stage.
    """
    from dfd_core.backbones import BACKBONES, BackboneSpec
    from dfd_core.config import load_config
    from dfd_core.errors import UsageError
    from dfd_core.throughput import measure_and_tell
    from flows.starting import log_plainly
    from tasks.settings import EngineSettings

    run = load_config(config)
    specs = [BackboneSpec(name=name) for name in backbone] if backbone else list(run.backbones)
    networks = [spec for spec in specs if BACKBONES[spec.name].library != "spectrum"]
    if not networks:
        raise UsageError("There is no network among the backbones, and only networks have a forward pass to measure.")
    if device is None and EngineSettings.from_environment().gpus_per_actor == 0:
        device = "cpu"
    log_plainly("dfd_core")
    print(measure_and_tell(networks, (folder, images), run.extraction, device, log))
