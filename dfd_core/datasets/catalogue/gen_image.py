"""GenImage."""

from __future__ import annotations

from dfd_core.datasets.cards import ByHand, DatasetCard, Formats, Rule
from dfd_core.datasets.options import PublishedOptions

_FOLDERS = {
    "Midjourney": "midjourney", "imagenet_midjourney": "midjourney", "Stable Diffusion V1.4": "sd_v1_4",
    "stable_diffusion_v_1_4": "sd_v1_4", "imagenet_ai_0419_sdv4": "sd_v1_4", "Stable Diffusion V1.5": "sd_v1_5",
    "stable_diffusion_v_1_5": "sd_v1_5", "imagenet_ai_0424_sdv5": "sd_v1_5", "ADM": "adm",
    "imagenet_ai_0508_adm": "adm", "GLIDE": "glide", "glide": "glide", "imagenet_glide": "glide", "Wukong": "wukong",
    "wukong": "wukong", "imagenet_ai_0424_wukong": "wukong", "VQDM": "vqdm", "imagenet_ai_0419_vqdm": "vqdm",
    "BigGAN": "biggan", "imagenet_ai_0419_biggan": "biggan",
}  # fmt: skip
_GENERATORS = ("midjourney", "sd_v1_4", "sd_v1_5", "adm", "glide", "wukong", "vqdm", "biggan")

CARDS = (
    DatasetCard(
        name="genimage",
        title="GenImage: eight generators against ImageNet, each with reals of its own",
        description="1.35 million fakes of ImageNet's classes and 1.33 million ImageNet photographs, in eight pairs.",
        page="https://github.com/GenImage-Dataset/GenImage",
        sources=(
            "Zhu et al. 2023: GenImage: a million-scale benchmark for detecting AI-generated image. NeurIPS. "
            "arXiv:2306.08571",
            "Grommelt et al. 2024: Fake or JPEG? Revealing common biases in generated image detection datasets. "
            "arXiv:2403.17608",
        ),
        licence="CC BY-NC-SA 4.0; ImageNet's terms for the reals",
        size_hint="2.7 million images, about 500 GB",
        size_bytes=500_000_000_000,
        generators={name: "gan" if name == "biggan" else "diffusion" for name in _GENERATORS},
        reals=_GENERATORS,
        pairing="own",
        splits="published: train and val, taken as train and validation",
        formats=Formats(real=("JPEG",), fake=("PNG",)),
        traps=(
            "Reals are JPEG and fakes PNG: the format alone tells them apart.",
            "Fakes of one generator have one size, BigGAN's 128 x 128, reals many: so does the size.",
            "Some published files are empty or broken, thousands in the training reals of Stable Diffusion 1.5; the "
            "repository lists them in data/corrupted_files, and PNG files with a wrong header in "
            "data/improper_png_header. They stay rows with a status.",
            "The archive of Stable Diffusion 1.5 is refused by unzip as one of overlapping members (a possible zip "
            "bomb), though its MD5 is right. Where it is refused here too, unpack it with another program (7-Zip) and "
            "put the folder there instead.",
            "Its `val` is what papers test on. Give `splits:` to use it so.",
        ),
        revision=1,
        options=PublishedOptions,
        by_hand=ByHand(
            page="https://drive.google.com/drive/folders/1jGt10bwTbhEZuGXLyvrCuxOI0cBqQ1FS",
            accept="Download the folders of the generators that you want (linked from the repository, whose "
            "data/checksums.csv has the MD5 of each file, and data/check_md5_from_csv.sh checks them).",
            files="them as they are, each with all its parts (.z01, ..., .zip), or unpacked as "
            "<generator>/{train,val}/{ai,nature},",
        ),
        rules=(
            Rule(pattern=r"(?:.*/)?(?P<generator>[^/]+)/(?P<split>train|val)/ai/[^/]+", label=1),
            Rule(pattern=r"(?:.*/)?(?P<source>[^/]+)/(?P<split>train|val)/nature/[^/]+", label=0),
        ),
        names=_FOLDERS,
    ),
)
