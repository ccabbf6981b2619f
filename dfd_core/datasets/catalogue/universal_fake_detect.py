"""The diffusion sets of UniversalFakeDetect; two cards on one archive, since their reals differ."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.options import PublishedOptions

_PAGE = "https://github.com/WisconsinAIVision/UniversalFakeDetect"
_ARCHIVE = Archive(
    name="diffusion_datasets",
    kind="zip",
    parts=(Part(address="gdrive://1FXlGIRh_Ud3cScMgSVDbEWmPDmjcrm1t", size_bytes=917_979_875),),
)
_SOURCES = (
    "Ojha, Li, Lee 2023: Towards universal fake image detectors that generalize across generative models. CVPR. "
    "arXiv:2302.10174",
    "Schuhmann et al. 2021: LAION-400M. arXiv:2111.02114",
)
_LICENCE = "of the images not stated by the publisher (the code is MIT); reals keep their photographers' rights"
_TRAPS = (
    "Fakes are PNG and reals JPEG in the published files: the format alone tells them apart.",
    "1,000 images a class, where the paper reports 10,000: its numbers can't be reproduced exactly.",
)

CARDS = (
    DatasetCard(
        name="ufd_diffusion",
        title="UniversalFakeDetect: LDM, GLIDE and DALL-E mini against LAION",
        description="1,000 fakes of each of seven settings of three text-to-image models, and 1,000 LAION photographs.",
        page=_PAGE,
        sources=_SOURCES,
        licence=_LICENCE,
        size_hint="8,000 images, 0.9 GB",
        size_bytes=917_979_875,
        generators={
            "ldm_100": "diffusion", "ldm_200": "diffusion", "ldm_200_cfg": "diffusion", "glide_50_27": "diffusion",
            "glide_100_10": "diffusion", "glide_100_27": "diffusion", "dalle": "autoregressive",
        },
        reals=("laion",),
        pairing="all",
        splits="published for tests alone; 80/10/10 is drawn by file name",
        formats=Formats(real=("JPEG",), fake=("PNG",)),
        traps=(
            *_TRAPS,
            "All folders share one list of file names. Whether images of one name share a prompt is not stated; to be "
            "on the safe side they are one group.",
        ),
        revision=2,
        options=PublishedOptions,
        archives=(_ARCHIVE,),
        rules=(
            Rule(pattern=r"(?:.*/)?(?P<generator>ldm_\w+|glide_\w+|dalle)/1_fake/(?P<group>[^/]+)\.\w+", label=1),
            Rule(pattern=r"(?:.*/)?(?P<source>laion)/0_real/(?P<group>[^/]+)\.\w+", label=0),
        ),
    ),
    DatasetCard(
        name="ufd_guided",
        title="UniversalFakeDetect: guided diffusion (ADM) against ImageNet",
        description="1,000 images of ImageNet's guided diffusion model and 1,000 ImageNet photographs.",
        page=_PAGE,
        sources=(_SOURCES[0], "Deng et al. 2009: ImageNet. CVPR. doi:10.1109/CVPR.2009.5206848"),
        licence=_LICENCE,
        size_hint="2,000 images, of the archive of 0.9 GB that ufd_diffusion shares",
        size_bytes=917_979_875,
        generators={"guided": "diffusion"},
        reals=("imagenet",),
        pairing="all",
        splits="published for tests alone; 80/10/10 is drawn",
        formats=Formats(real=("JPEG",), fake=("PNG",)),
        traps=_TRAPS,
        revision=1,
        options=PublishedOptions,
        archives=(_ARCHIVE,),
        rules=(
            Rule(pattern=r"(?:.*/)?(?P<generator>guided)/1_fake/[^/]+", label=1),
            Rule(pattern=r"(?:.*/)?(?P<source>imagenet)/0_real/[^/]+", label=0),
        ),
    ),
)  # fmt: skip
