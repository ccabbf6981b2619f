"""dfd itself on a folder of images: `ours.py IMAGES CHECKPOINT OUTPUT [--ray] [--precision P]`.

From files to Parquet with everything that a run does: the manifest, with a digest of every file, the plan, extraction.
In one process, or with `--ray` on actors as a run does it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dfd_core import in_process, pipeline
from dfd_core.config import RunConfig
from dfd_core.storage import Store


def main() -> None:
    """Extracts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--precision", default="float32")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in given.images.iterdir())
    table = given.output / "images.csv"
    rows = [f"{given.images.absolute() / name},{number % 2},g\n" for number, name in enumerate(names)]
    table.write_text("path,label,generator\n" + "".join(rows))
    config = RunConfig(
        name="throughput",
        store=str(given.output / "store"),
        datasets=[{"name": "images", "table": str(table)}],  # type: ignore[arg-type]
        augmentations=["none"],  # type: ignore[arg-type]
        backbones=[  # type: ignore[arg-type]
            {"name": "clip_vit_b16", "weights": str(given.checkpoint.absolute()), "precision": given.precision}
        ],
    )
    inputs = pipeline.find_inputs(config)
    if not given.ray:
        in_process.extract(config, inputs)
        return
    from tasks.cluster import ray_session
    from tasks.dispatcher import ShardDispatcher
    from tasks.settings import EngineSettings

    settings = EngineSettings.from_environment()
    plan = pipeline.plan_features(config, *inputs.open(config))
    with ray_session(settings):
        ShardDispatcher(Store(config.store), plan, config.extraction, settings, lambda _: None).run()


if __name__ == "__main__":
    main()
