"""ForenSynths, the training and test sets of CNNDetection."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.options import PublishedOptions

_PAGE = "https://huggingface.co/datasets/sywang/CNNDetection"
_HUB = "hf://datasets/sywang/CNNDetection"
_SOURCES = (
    "Wang, Wang, Zhang, Owens, Efros 2020: CNN-generated images are surprisingly easy to spot... for now. CVPR. "
    "arXiv:1912.11035",
    "https://github.com/PeterWang512/CNNDetection",
)
_LICENCE = "CC BY-NC-SA 4.0 (the hub's page); reals keep the terms of LSUN, ImageNet, CelebA, COCO and others"
_TRAIN_BYTES = (*[10 * 2**30] * 6, 10_499_493_436)
"""Of the seven parts; the zip archive in them is stored as it is, so that a sample needs some ranges."""
_VALIDATION_BYTES = 830_792_545

CARDS = (
    DatasetCard(
        name="forensynths_train",
        title="ForenSynths, training: ProGAN against LSUN, 20 categories",
        description="The training and validation sets that most detectors of the field are fitted on.",
        page=_PAGE,
        sources=_SOURCES,
        licence=_LICENCE,
        size_hint="720,000 and 8,000 images, about 76 GB to download, as much again to unpack",
        size_bytes=sum(_TRAIN_BYTES) + _VALIDATION_BYTES,
        generators={"progan": "gan"},
        reals=("lsun",),
        pairing="all",
        splits="published: train and validation",
        formats=Formats(real=("PNG",), fake=("PNG",)),
        traps=(
            "Each category has a ProGAN of its own, trained on the same LSUN photographs that serve as reals.",
            "Reals of the validation set, those of cat and horse above all, are in the training set too: they count as "
            "training images.",
        ),
        revision=1,
        options=PublishedOptions,
        archives=(
            Archive(
                name="progan_train",
                kind="7z",
                parts=tuple(
                    Part(address=f"{_HUB}/progan_train.7z.{i:03d}", size_bytes=size)
                    for i, size in enumerate(_TRAIN_BYTES, start=1)
                ),
                inside="progan_train.zip",
            ),
            Archive(
                name="progan_val",
                kind="zip",
                parts=(Part(address=f"{_HUB}/progan_val.zip", size_bytes=_VALIDATION_BYTES),),
            ),
        ),
        rules=(
            Rule(
                pattern=r"progan_train/(?:.*/)?(?P<category>\w+)/1_fake/[^/]+",
                label=1, generator="progan", split="train",
            ),
            Rule(pattern=r"progan_train/(?:.*/)?(?P<category>\w+)/0_real/[^/]+", label=0, source="lsun", split="train"),
            Rule(
                pattern=r"progan_val/(?:.*/)?(?P<category>\w+)/1_fake/[^/]+",
                label=1, generator="progan", split="validation",
            ),
            Rule(
                pattern=r"progan_val/(?:.*/)?(?P<category>\w+)/0_real/[^/]+",
                label=0, source="lsun", split="validation",
            ),
        ),
    ),
    DatasetCard(
        name="forensynths_test",
        title="ForenSynths, test: 13 CNN generators, each with reals of its own",
        description="The test set of CNNDetection with whichfaceisreal.com, and reals for each generator.",
        page=_PAGE,
        sources=_SOURCES,
        licence=_LICENCE,
        size_hint="about 90,000 images, about 20 GB",
        size_bytes=20_052_866_587,
        generators={
            "progan": "gan", "stylegan": "gan", "stylegan2": "gan", "biggan": "gan", "cyclegan": "gan",
            "stargan": "gan", "gaugan": "gan", "crn": "other", "imle": "other", "sitd": "other", "san": "other",
            "deepfake": "other", "whichfaceisreal": "gan",
        },
        reals=(
            "progan", "stylegan", "stylegan2", "biggan", "cyclegan", "stargan", "gaugan", "crn", "imle", "sitd",
            "san", "deepfake", "whichfaceisreal",
        ),
        pairing="own",
        splits="published for tests alone; 80/10/10 is drawn",
        formats=Formats(real=("PNG", "JPEG"), fake=("PNG", "JPEG")),
        traps=(
            "whichfaceisreal is JPEG, the others PNG.",
            "CRN and IMLE share their reals; the same photographs are in both folders.",
            "SITD and SAN have 360 and 440 images, of sizes unlike all others.",
            "Folders say seeingdark for SITD.",
        ),
        revision=1,
        options=PublishedOptions,
        archives=(
            Archive(
                name="test",
                kind="zip",
                parts=(Part(address=f"{_HUB}/CNN_synth_testset.zip", size_bytes=20_052_866_587),),
            ),
        ),
        rules=(
            Rule(pattern=r"test/(?:CNN_synth\w+/)?(?P<generator>\w+)/(?:(?P<category>\w+)/)?1_fake/[^/]+", label=1),
            Rule(pattern=r"test/(?:CNN_synth\w+/)?(?P<source>\w+)/(?:(?P<category>\w+)/)?0_real/[^/]+", label=0),
        ),
        names={"seeingdark": "sitd"},
    ),
)  # fmt: skip
