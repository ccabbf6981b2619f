"""DeepFakeFace: celebrities' photographs and three ways to fake them."""

from __future__ import annotations

from dfd_core.datasets.cards import Archive, DatasetCard, Formats, Part, Rule
from dfd_core.datasets.options import PublishedOptions

_HUB = "hf://datasets/OpenRL/DeepFakeFace"

CARDS = (
    DatasetCard(
        name="deepfakeface",
        title="DeepFakeFace: Stable Diffusion text-to-image and inpainting, InsightFace swaps, against IMDB-WIKI",
        description=(
            "30,000 photographs of IMDB-WIKI (wiki.zip) and as many of each of three fakes. The four files of one name "
            "are of one photograph: they are one group, and never on both sides of a split."
        ),
        page="https://huggingface.co/datasets/OpenRL/DeepFakeFace",
        sources=(
            "Song, Huang, Dong, Tu 2023: Robustness and generalizability of deepfake detection: a study with diffusion "
            "models. arXiv:2309.02218",
            "Rothe, Timofte, Van Gool 2015: DEX: deep expectation of apparent age from a single image (IMDB-WIKI). "
            "ICCVW",
        ),
        licence="Apache-2.0 (the hub's page); the photographs of IMDB-WIKI are for academic research only",
        size_hint="120,000 images, about 5 GB",
        size_bytes=5_000_000_000,
        generators={"inpainting": "diffusion", "text2img": "diffusion", "insight": "other"},
        reals=("imdb_wiki",),
        pairing="all",
        splits="80/10/10, drawn by photograph",
        formats=Formats(real=("JPEG",), fake=("JPEG",)),
        traps=(
            "All fakes are 512 x 512; reals have their own sizes: the size alone tells them apart.",
            "inpainting and insight keep the original photograph around the face.",
        ),
        revision=2,
        options=PublishedOptions,
        archives=tuple(
            Archive(name=name, kind="zip", parts=(Part(address=f"{_HUB}/{name}.zip"),))
            for name in ("wiki", "inpainting", "text2img", "insight")
        ),
        rules=(
            Rule(pattern=r"wiki/(?:wiki/)?(?P<group>.+)\.\w+", label=0, source="imdb_wiki"),
            Rule(pattern=r"(?P<generator>inpainting|text2img|insight)/(?:(?P=generator)/)?(?P<group>.+)\.\w+", label=1),
        ),
    ),
    DatasetCard(
        name="deepfakeface_wiki_crop",
        title="DeepFakeFace's fakes against the cropped faces of IMDB-WIKI (wiki_crop.tar)",
        description="The same fakes with all 62,328 cropped faces of Wikipedia as reals.",
        page="https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/",
        sources=("Rothe, Timofte, Van Gool 2015: DEX (IMDB-WIKI). ICCVW", "Song et al. 2023. arXiv:2309.02218"),
        licence="academic research only (IMDB-WIKI); Apache-2.0 (the fakes)",
        size_hint="152,000 images, about 5 GB",
        size_bytes=5_000_000_000,
        generators={"inpainting": "diffusion", "text2img": "diffusion", "insight": "other"},
        reals=("wiki_crop",),
        pairing="all",
        splits="80/10/10, drawn by photograph",
        formats=Formats(real=("JPEG",), fake=("JPEG",)),
        traps=(
            "Reals are cropped to the face, fakes are not: framing and size tell them apart.",
            "wiki_crop has some files that are a single grey pixel, where no face was found.",
        ),
        revision=2,
        options=PublishedOptions,
        archives=(
            Archive(
                name="wiki_crop",
                kind="tar",
                parts=(Part(address="https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/static/wiki_crop.tar"),),
            ),
            *(
                Archive(name=name, kind="zip", parts=(Part(address=f"{_HUB}/{name}.zip"),))
                for name in ("inpainting", "text2img", "insight")
            ),
        ),
        rules=(
            Rule(pattern=r"wiki_crop/(?:wiki_crop/)?(?P<group>.+)\.\w+", label=0, source="wiki_crop"),
            Rule(pattern=r"(?P<generator>inpainting|text2img|insight)/(?:(?P=generator)/)?(?P<group>.+)\.\w+", label=1),
        ),
    ),
)
