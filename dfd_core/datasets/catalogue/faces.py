"""Faces: 140k real and fake faces, and CelebA with a generator of your own."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, ByHand, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.options import PublishedOptions

CARDS = (
    DatasetCard(
        name="faces_140k",
        title="140k real and fake faces: StyleGAN against FFHQ",
        description="70,000 StyleGAN faces and 70,000 of Flickr-Faces-HQ, resized to 256 x 256, with fixed splits.",
        page="https://www.kaggle.com/datasets/xhlulu/140k-real-and-fake-faces",
        sources=(
            "Karras, Laine, Aila 2019: A style-based generator architecture for generative adversarial networks. "
            "CVPR. arXiv:1812.04948",
            "xhlulu 2020: 140k real and fake faces. Kaggle",
        ),
        licence="of the Kaggle page not verified; FFHQ is CC BY-NC-SA 4.0, single photographs have terms of their own; "
        "the million faces that the fakes are said to be drawn from are CC BY-NC 4.0",
        size_hint="140,000 images, about 4 GB",
        size_bytes=4_000_000_000,
        generators={"stylegan": "gan"},
        reals=("ffhq",),
        pairing="all",
        splits="published: train, validation and test",
        formats=Formats(real=("JPEG",), fake=("JPEG",)),
        traps=("Both classes were resized and encoded by the publisher: much of the generator's trace is gone.",),
        revision=1,
        options=PublishedOptions,
        archives=(
            Archive(name="faces", kind="zip", parts=(Part(address="kaggle://xhlulu/140k-real-and-fake-faces"),)),
        ),
        rules=(
            Rule(pattern=r"(?:.*/)?real-vs-fake/(?P<split>train|valid|test)/fake/[^/]+", label=1, generator="stylegan"),
            Rule(pattern=r"(?:.*/)?real-vs-fake/(?P<split>train|valid|test)/real/[^/]+", label=0, source="ffhq"),
        ),
    ),
    DatasetCard(
        name="celeba",
        title="CelebA: aligned photographs of celebrities, as reals for fakes of your own",
        description="202,599 aligned faces. It has no fakes: put those beside it, in a folder for each generator.",
        page="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        sources=("Liu, Luo, Wang, Tang 2015: Deep learning face attributes in the wild. ICCV. arXiv:1411.7766",),
        licence="non-commercial research only; no copies may be passed on",
        size_hint="202,599 reals, about 1.4 GB",
        size_bytes=1_400_000_000,
        generators={},
        reals=("celeba",),
        pairing="all",
        splits="80/10/10, drawn",
        formats=Formats(real=("JPEG",), fake=("JPEG", "PNG")),
        traps=("Aligned and cropped by the publisher: fakes that are not aligned alike are told apart by framing.",),
        revision=1,
        options=PublishedOptions,
        by_hand=ByHand(
            page="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
            accept="Read and accept the agreement there (non-commercial research, no redistribution).",
            files="img_align_celeba.zip, and fakes as fake/<generator>/*",
        ),
        rules=(
            Rule(pattern=r"(?:.*/)?fake/(?P<generator>[^/]+)/.+", label=1),
            Rule(pattern=r"(?:.*/)?img_align_celeba/[^/]+", label=0, source="celeba"),
        ),
    ),
)
