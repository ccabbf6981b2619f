"""AIGCDetectBenchmark."""

from __future__ import annotations

from dfd_core.datasets.cards import ByHand, DatasetCard, Formats, Rule
from dfd_core.datasets.families import Family
from dfd_core.datasets.options import PublishedOptions

_GENERATORS: dict[str, Family] = {
    "progan": "gan", "stylegan": "gan", "biggan": "gan", "cyclegan": "gan", "stargan": "gan", "gaugan": "gan",
    "stylegan2": "gan", "whichfaceisreal": "gan", "adm": "diffusion", "glide": "diffusion", "midjourney": "diffusion",
    "sd_v1_4": "diffusion", "sd_v1_5": "diffusion", "vqdm": "diffusion", "wukong": "diffusion", "dalle2": "diffusion",
    "sdxl": "diffusion",
}  # fmt: skip

CARDS = (
    DatasetCard(
        name="aigc_detect_benchmark",
        title="AIGCDetectBenchmark: 16 and more generators, each with reals of its own",
        description="The test set of PatchCraft: ForenSynths' GANs and today's diffusion models in one folder layout.",
        page="https://github.com/Ekko-zn/AIGCDetectBenchmark",
        sources=(
            "Zhong, Xu, Li, Qian, Zhang 2023: PatchCraft: exploring texture patch for efficient AI-generated image "
            "detection. arXiv:2311.12397",
        ),
        licence="not stated by the publisher; parts keep the terms of ForenSynths and GenImage",
        size_hint="about 170,000 images, about 50 GB",
        size_bytes=50_000_000_000,
        generators=_GENERATORS,
        reals=tuple(_GENERATORS),
        pairing="own",
        splits="published for tests alone; 80/10/10 is drawn",
        formats=Formats(real=("PNG", "JPEG"), fake=("PNG", "JPEG")),
        traps=("The parts from GenImage have JPEG reals and PNG fakes.",),
        revision=1,
        options=PublishedOptions,
        by_hand=ByHand(
            page="https://drive.google.com/drive/folders/1p4ewuAo7d5LbNJ4cKyh10Xl9Fg2yoFOw",
            accept="Download the test set (a split zip; linked from the repository).",
            files="it as it is, with all its parts (.z01, ..., .zip), or unpacked as "
            "<generator>/[<category>/]{0_real,1_fake},",
        ),
        rules=(
            Rule(pattern=r"(?:test/)*(?P<generator>[^/]+)/(?:(?P<category>[^/]+)/)?1_fake/[^/]+", label=1),
            Rule(pattern=r"(?:test/)*(?P<source>[^/]+)/(?:(?P<category>[^/]+)/)?0_real/[^/]+", label=0),
        ),
        names={
            "ADM": "adm", "Glide": "glide", "GLIDE": "glide", "Midjourney": "midjourney", "VQDM": "vqdm",
            "stable_diffusion_v_1_4": "sd_v1_4", "stable_diffusion_v_1_5": "sd_v1_5", "DALLE2": "dalle2",
            "Wukong": "wukong", "SDXL": "sdxl", "sd_xl": "sdxl",
        },
    ),
)  # fmt: skip
