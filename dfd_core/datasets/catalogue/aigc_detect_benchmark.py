"""AIGCDetectBenchmark."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, ByHand, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.families import Family
from dfd_core.datasets.options import PublishedOptions

_GENERATORS: dict[str, Family] = {
    "progan": "gan", "stylegan": "gan", "biggan": "gan", "cyclegan": "gan", "stargan": "gan", "gaugan": "gan",
    "stylegan2": "gan", "whichfaceisreal": "gan", "adm": "diffusion", "glide": "diffusion", "midjourney": "diffusion",
    "sd_v1_4": "diffusion", "sd_v1_5": "diffusion", "vqdm": "diffusion", "wukong": "diffusion", "dalle2": "diffusion",
    "sdxl": "diffusion",
}  # fmt: skip
_NAMES = {
    "ADM": "adm", "Glide": "glide", "GLIDE": "glide", "Midjourney": "midjourney", "VQDM": "vqdm",
    "stable_diffusion_v_1_4": "sd_v1_4", "stable_diffusion_v_1_5": "sd_v1_5", "DALLE2": "dalle2",
    "Wukong": "wukong", "SDXL": "sdxl", "sd_xl": "sdxl",
}  # fmt: skip
_FOLDERS = "|".join([*_GENERATORS, *_NAMES])

CARDS = (
    DatasetCard(
        name="aigc_detect_benchmark",
        title="AIGCDetectBenchmark: 17 generators, each with reals of its own",
        description="The test set of PatchCraft: ForenSynths' GANs and today's diffusion models in one folder layout.",
        page="https://github.com/Ekko-zn/AIGCDetectBenchmark",
        sources=(
            "Zhong, Xu, Li, Qian, Zhang 2023: PatchCraft: exploring texture patch for efficient AI-generated image "
            "detection. arXiv:2311.12397",
        ),
        licence="not stated by the publisher; parts keep the terms of ForenSynths and GenImage",
        size_hint="about 125,000 images, about 33 GB",
        size_bytes=33_000_000_000,
        generators=_GENERATORS,
        reals=tuple(_GENERATORS),
        pairing="own",
        splits="published for tests alone; 80/10/10 is drawn",
        formats=Formats(real=("PNG", "JPEG"), fake=("PNG", "JPEG")),
        traps=(
            "The download's address is not verified: the publisher's page links this dataset of ModelScope, the file's "
            "own address stands in others' scripts. No digest of it is published.",
            "Count and size are those of copies of it: the publisher states none.",
            "The parts from GenImage have JPEG reals and PNG fakes.",
            "It has the images of ForenSynths' test set and of GenImage: don't train on those and test here.",
            "SDXL came later, and users have missed it in downloads: the table of the manifest shows what is there.",
            "DALLE2/0_real/000000097792.jpg is broken at the source. It stays a row with a status.",
        ),
        revision=2,
        options=PublishedOptions,
        archives=(
            Archive(
                name="test_set",
                kind="zip",
                parts=(
                    Part(
                        address=(
                            "https://modelscope.cn/datasets/aemilia/AIGCDetectionBenchmark/resolve/master/"
                            "AIGCDetectionBenchMark/test_set.zip"
                        )
                    ),
                ),
            ),
        ),
        by_hand=ByHand(
            page="https://modelscope.cn/datasets/aemilia/AIGCDetectionBenchmark/files",
            accept="Download the test set there, or from Baidu by the link in the repository (the folder of Google "
            "Drive that is linked elsewhere is said to be empty).",
            files="it as it is, with all its parts, or unpacked as <generator>/[<category>/]{0_real,1_fake}, in any "
            "folder,",
            instead=True,
        ),
        rules=(
            Rule(pattern=rf"(?:.*/)?(?P<generator>{_FOLDERS})/(?:(?P<category>[^/]+)/)?1_fake/[^/]+", label=1),
            Rule(pattern=rf"(?:.*/)?(?P<source>{_FOLDERS})/(?:(?P<category>[^/]+)/)?0_real/[^/]+", label=0),
        ),
        names=_NAMES,
    ),
)
