"""ForenSynths, the training and test sets of CNNDetection."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.options import PublishedOptions

_PAGE = "https://huggingface.co/datasets/sywang/CNNDetection"
_HUB = "hf://datasets/sywang/CNNDetection@f287cf3c3e92ca2e5451ce200bab8b6f5e0175b2"
_SOURCES = (
    "Wang, Wang, Zhang, Owens, Efros 2020: CNN-generated images are surprisingly easy to spot... for now. CVPR. "
    "arXiv:1912.11035",
    "https://github.com/PeterWang512/CNNDetection",
)
_LICENCE = "CC BY-NC-SA 4.0 (the hub's page); reals keep the terms of LSUN, ImageNet, CelebA, COCO and others"
_TRAIN_BYTES = (*[10 * 2**30] * 6, 10_499_493_436)
"""Of the seven parts; the zip archive in them is stored as it is, so that a sample needs some ranges."""
_TRAIN_DIGESTS = (
    "a1ab9af359a2c5dff788c03c05d7097bc27bb8ec1f522f25e11491c424669e8b",
    "83502b14158c518f6752604079621b2a7e61c2e27013c18280b1b03d7015ab1f",
    None,
    None,
    "f936e4a628833cb754cab1f08a25f546e7a1dd9572ed09b3c3b8b7f959358599",
    "e4e9be4e96f7926bd0ac97b1eb4aad85c9783014c892cc2779b97e26b7496f47",
    "719ef8faf221e34db2d65af8c98eba600d90711b1a979a7158c60c175d0a8191",
)
"""Of the same; `None` where none was seen, and the hub tells it at the download."""
_VALIDATION_BYTES = 830_792_545
_TEST_BYTES = 20_052_866_587

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
            "LSUN's photographs were JPEG of quality 75 before they were stored as PNG, the fakes never were: a trace "
            "of JPEG tells them apart, though the format is the same.",
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
                    Part(address=f"{_HUB}/progan_train.7z.{i:03d}", size_bytes=size, sha256=sha256)
                    for i, (size, sha256) in enumerate(zip(_TRAIN_BYTES, _TRAIN_DIGESTS, strict=True), start=1)
                ),
                inside="progan_train.zip",
            ),
            Archive(
                name="progan_val",
                kind="zip",
                parts=(
                    Part(
                        address=f"{_HUB}/progan_val.zip",
                        size_bytes=_VALIDATION_BYTES,
                        sha256="7bce9385bde5407875bb829e321f812db53587e59611e105caf6175cf323f002",
                    ),
                ),
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
        size_bytes=_TEST_BYTES,
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
        formats=Formats(real=("PNG", "JPEG", "BMP"), fake=("PNG", "JPEG")),
        traps=(
            "whichfaceisreal is JPEG; some of SAN's reals are BMP, as others' loaders have it: there the format alone "
            "tells the classes apart. The rest is PNG as far as known.",
            "Reals from LSUN were JPEG before they were stored as PNG, their fakes never were.",
            "CRN and IMLE share their reals, the same images in both folders: frames of video games, no photographs.",
            "SITD and SAN have some 360 and 440 images, of sizes unlike all others.",
            "Folders say seeingdark for SITD. Some file names have a colon, which not every disk takes.",
        ),
        revision=1,
        options=PublishedOptions,
        archives=(
            Archive(
                name="test",
                kind="zip",
                parts=(
                    Part(
                        address=f"{_HUB}/CNN_synth_testset.zip",
                        size_bytes=_TEST_BYTES,
                        sha256="d87eeff4eb6d1061f57620aa1bd54e699a18cc9860fcdc6a55bf4cf643008d85",
                    ),
                ),
            ),
        ),
        rules=(
            Rule(pattern=r"test/(?:CNN_synth\w+/)?(?P<generator>\w+)/(?:(?P<category>\w+)/)?1_fake/[^/]+", label=1),
            Rule(pattern=r"test/(?:CNN_synth\w+/)?(?P<source>\w+)/(?:(?P<category>\w+)/)?0_real/[^/]+", label=0),
        ),
        names={"seeingdark": "sitd"},
    ),
)  # fmt: skip
