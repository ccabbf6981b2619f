"""What all contenders are given: the same JPEG files and the same weights, made on the spot from seeds.

`python tests/benchmarks/images.py FOLDER COUNT` makes COUNT images in FOLDER/images and the two checkpoints beside it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dfd_core.throughput import make_images

CLIP_ARCHITECTURE = "ViT-B-16-quickgelu"
"""The architecture of dfd's `clip_vit_b16` in open_clip's words: with OpenAI's activation."""
CLIP_BACKBONE = "clip_vit_b16"
RESNET_ARCHITECTURE = "resnet50"
RESNET_BACKBONE = "dino_resnet50"


def first_images(folder: Path, count: int) -> Path:
    """A folder beside the given one that holds its first `count` images and nothing else, as hard links.

    Raises:
        ValueError: There are not so many.
    """
    paths = sorted(folder.glob("*.jpg"))[:count]
    if len(paths) < count:
        raise ValueError(f"{folder} has {len(paths)} images, {count} are wanted")
    part = folder.with_name(f"{folder.name}-{count}")
    part.mkdir(exist_ok=True)
    for path in paths:
        if not (part / path.name).exists():
            os.link(path, part / path.name)
    if len(list(part.iterdir())) != count:
        raise ValueError(f"{part} holds other files than the first {count} of {folder}: remove it")
    return part


def make_clip_checkpoint(path: Path) -> Path:
    """Writes the weights of a whole CLIP ViT-B/16, text tower included, drawn from seed 0, as open_clip's own file.

    open_clip, clip-retrieval and dfd read it as they read a trained one.
    """
    import open_clip
    import torch

    if not path.exists():
        torch.manual_seed(0)
        _save(open_clip.create_model(CLIP_ARCHITECTURE).state_dict(), path)
    return path


def make_resnet_checkpoint(path: Path) -> Path:
    """Writes the weights of timm's ResNet-50 without a classifier, from seed 0; dfd's `dino_resnet50` reads it."""
    import timm
    import torch

    if not path.exists():
        torch.manual_seed(0)
        _save(timm.create_model(RESNET_ARCHITECTURE, num_classes=0).state_dict(), path)
    return path


def _save(tensors: dict, path: Path) -> None:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
    partial.replace(path)


def main() -> None:
    """Makes what the arguments say."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    paths = make_images(folder / "images", count)
    sizes = [path.stat().st_size for path in paths]
    print(f"{count} images of {min(sizes)} to {max(sizes)} bytes, {sum(sizes) // count} on average")
    print(make_clip_checkpoint(folder / "clip_vit_b16.safetensors"))
    print(make_resnet_checkpoint(folder / "resnet50.safetensors"))


if __name__ == "__main__":
    main()
