"""OpenFake."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rows, Rule
from dfd_core.datasets.families import Family
from dfd_core.datasets.options import PublishedOptions

_HUB = "hf://datasets/ComplexDataLab/OpenFake/[cd][oa][rt][ea]"
"""The folder is `core`, in versions before 2026 and their copies `data`; no version has both."""
_ROWS = Rows(image="image", path="{label}/{model}")
_MAIN: dict[str, Family] = {
    "flux.1-dev": "diffusion", "sd-3.5": "diffusion", "ideogram-3.0": "diffusion", "midjourney-6": "diffusion",
    "gpt-image-1": "autoregressive", "grok-2-image-1212": "autoregressive",
}  # fmt: skip

CARDS = (
    DatasetCard(
        name="openfake",
        title="OpenFake: today's open and closed text-to-image models against LAION and other photographs",
        description="Political and everyday scenes by several dozen models, with the prompts of matching photographs.",
        page="https://huggingface.co/datasets/ComplexDataLab/OpenFake",
        sources=(
            "Livernoche et al. 2025: OpenFake: an open dataset and platform toward real-world deepfake detection. "
            "arXiv:2509.09495",
        ),
        licence="CC BY-NC 4.0; earlier versions CC BY-SA 4.0, images of proprietary models for non-commercial use only",
        size_hint="about 1.9 million images, about 1 TB",
        size_bytes=1_080_000_000_000,
        generators=_MAIN,
        reals=("real",),
        pairing="all",
        splits="published: train and test",
        formats=Formats(real=("JPEG",), fake=("PNG", "JPEG", "WEBP")),
        traps=(
            "Encodings differ by model and from the reals: the format alone tells many of them apart.",
            "The hub's files grow and are renamed with new versions: look at the revision that was recorded.",
            "The card names some models only; all that the files name are kept.",
            "Later versions have a validation set and images from Reddit beside these files; they are left out.",
        ),
        revision=1,
        options=PublishedOptions,
        archives=(
            Archive(name="test", kind="parquet", parts=(Part(address=f"{_HUB}/test-*.parquet"),), rows=_ROWS),
            Archive(name="train", kind="parquet", parts=(Part(address=f"{_HUB}/train-*.parquet"),), rows=_ROWS),
        ),
        rules=(
            Rule(pattern=r"(?P<split>train|test)[^/]*/fake/(?P<generator>[^/]+)/[^/]+", label=1),
            Rule(pattern=r"(?P<split>train|test)[^/]*/real/[^/]+/[^/]+", label=0, source="real"),
        ),
    ),
)
