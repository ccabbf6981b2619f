"""The script that a person writes: open_clip and a torch DataLoader, features to one .npy file in a folder.

`python tests/benchmarks/rival_dataloader.py IMAGES CHECKPOINT OUTPUT`. Two loader workers, batches of 128, float32,
torch's threads as they come. The features' rows are in the order of the files' names.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class ImageFolder(Dataset[torch.Tensor]):
    """The images of a folder, transformed."""

    def __init__(self, folder: Path, transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.paths = sorted(folder.glob("*.jpg"))
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB"))


def main() -> None:
    """Extracts and saves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("output", type=Path)
    parser.add_argument("--architecture", default="ViT-B-16-quickgelu")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, _, preprocess = open_clip.create_model_and_transforms(args.architecture, pretrained=args.checkpoint)
    model = model.to(device).eval()
    loader = DataLoader(ImageFolder(args.images, preprocess), batch_size=args.batch_size, num_workers=args.workers)
    features = []
    with torch.inference_mode():
        for batch in loader:
            features.append(model.encode_image(batch.to(device)).cpu().numpy())
    args.output.mkdir(parents=True, exist_ok=True)
    np.save(args.output / "features.npy", np.concatenate(features))


if __name__ == "__main__":
    main()
