"""Ray Data's batch inference, as its documentation shows it for images, features to Parquet.

`python tests/benchmarks/rival_ray_data.py IMAGES CHECKPOINT OUTPUT`. It follows Ray's example "Image Classification
Batch Inference with PyTorch": `read_images`, `map` with the transform, `map_batches` with a class that holds the model,
`write_parquet`. As there, a worker decodes and transforms, and the actor with the model gets whole batches.

The settings are meant for two cores: one actor whose network has two threads. It asks Ray for one core, because
what it asks for is not there for reading and transforming. The options choose otherwise, as for two actors of half a
core and one thread each: `--concurrency 2 --num-cpus 0.5 --threads 1`.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # every port on loopback only
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import open_clip
import ray
import torch
from PIL import Image


class ClipModel:
    """The model, once in each actor."""

    def __init__(self, architecture: str, checkpoint: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = open_clip.create_model(architecture, pretrained=checkpoint).to(self.device).eval()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            images = torch.from_numpy(batch["transformed_image"]).to(self.device)
            return {"path": batch["path"], "features": self.model.encode_image(images).cpu().numpy()}


def main() -> None:
    """Extracts and saves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images")
    parser.add_argument("checkpoint")
    parser.add_argument("output")
    parser.add_argument("--architecture", default="ViT-B-16-quickgelu")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--num-cpus", type=float, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    size = open_clip.get_model_config(args.architecture)["vision_cfg"]["image_size"]
    transform = open_clip.image_transform(size, is_train=False)

    def preprocess_image(row: dict[str, Any]) -> dict[str, Any]:
        return {"path": row["path"], "transformed_image": transform(Image.fromarray(row["image"])).numpy()}

    ray.init("local", include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    predictions = (
        ray.data.read_images(args.images, mode="RGB", include_paths=True)
        .map(preprocess_image)
        .map_batches(
            ClipModel,
            fn_constructor_args=(args.architecture, args.checkpoint, args.threads),
            batch_size=args.batch_size,
            compute=ray.data.ActorPoolStrategy(size=args.concurrency),
            num_cpus=args.num_cpus,
        )
    )
    predictions.write_parquet(args.output)
    ray.shutdown()


if __name__ == "__main__":
    main()
